// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/exchequer-dev/exchequer/cmd/internal/flags"
	"github.com/exchequer-dev/exchequer/controllers"
	"github.com/exchequer-dev/exchequer/exchanger/issuer"
)

// settings are the flags.
type settings struct {
	namespace, serviceAccount, opsListen, kubeconfig, replicasSelector string
	leaderElect, sharedStore                                           bool

	replicas labels.Selector
	egress   flags.Egress
}

func parse(args, environ []string, out io.Writer) (*settings, error) {
	s := &settings{}
	f := pflag.NewFlagSet("controller", pflag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&s.namespace, "namespace", "exchequer-system", "the operator's namespace")
	f.StringVar(&s.serviceAccount, "service-account", "exchequer-controller", "the controller's own ServiceAccount, for the RoleBindings that conditions ask for")
	f.BoolVar(&s.leaderElect, "leader-elect", true, "let one of several controllers work at a time")
	f.StringVar(&s.opsListen, "ops-listen", ":8081", "where /livez, /readyz and /metrics are served")
	f.StringVar(&s.replicasSelector, "replicas-selector", "app.kubernetes.io/name=exchequer,app.kubernetes.io/component=exchanger", "labels of the exchanger's Pods")
	f.BoolVar(&s.sharedStore, "shared-store", false, "the exchangers share their one-time state")
	s.egress.Add(f)
	f.StringVar(&s.kubeconfig, "kubeconfig", "", "how to reach the API server; empty: as a Pod of its cluster")
	return s, flags.Parse(f, args, environ, s.checkNames, s.checkSelector, s.egress.Check)
}

func (s *settings) checkNames() error {
	var errs []error
	if problems := validation.IsDNS1123Label(s.namespace); len(problems) > 0 {
		errs = append(errs, fmt.Errorf("--namespace: expected the name of a namespace, found %q", s.namespace))
	}
	if problems := validation.IsDNS1123Subdomain(s.serviceAccount); len(problems) > 0 {
		errs = append(errs, fmt.Errorf("--service-account: expected the name of a ServiceAccount, found %q", s.serviceAccount))
	}
	return errors.Join(errs...)
}

func (s *settings) checkSelector() error {
	var err error
	if s.replicas, err = labels.Parse(s.replicasSelector); err != nil {
		return fmt.Errorf("--replicas-selector: %w", err)
	}
	if s.replicas.Empty() {
		return errors.New("--replicas-selector: expected labels; an empty selector would take every Pod for a replica")
	}
	return nil
}

func (s *settings) options(log *slog.Logger) controllers.Options {
	return controllers.Options{
		Namespace: s.namespace, ServiceAccount: s.serviceAccount, Replicas: s.replicas, SharedStore: s.sharedStore, Log: log,
		Issuers: issuer.Options{Proxy: s.egress.Proxy, RootCAs: s.egress.Roots},
	}
}

// client says how the API server is reached.
func (s *settings) client() (*rest.Config, error) {
	if s.kubeconfig != "" {
		return clientcmd.BuildConfigFromFlags("", s.kubeconfig)
	}
	return rest.InClusterConfig()
}
