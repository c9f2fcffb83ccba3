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
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/exchequer-dev/exchequer/controllers"
)

// settings are the flags.
type settings struct {
	namespace, serviceAccount, opsListen, kubeconfig, replicasSelector string
	leaderElect, sharedStore                                           bool

	replicas labels.Selector
}

func parse(args []string, out io.Writer) (*settings, error) {
	s := &settings{}
	f := pflag.NewFlagSet("controller", pflag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&s.namespace, "namespace", "exchequer-system", "the operator's namespace")
	f.StringVar(&s.serviceAccount, "service-account", "exchequer-controller", "the controller's own ServiceAccount, for the RoleBindings that conditions ask for")
	f.BoolVar(&s.leaderElect, "leader-elect", true, "let one of several controllers work at a time")
	f.StringVar(&s.opsListen, "ops-listen", ":8081", "where /livez, /readyz and /metrics are served")
	f.StringVar(&s.replicasSelector, "replicas-selector", "app.kubernetes.io/name=exchequer,app.kubernetes.io/component=exchanger", "labels of the exchanger's Pods")
	f.BoolVar(&s.sharedStore, "shared-store", false, "the exchangers share their one-time state")
	f.StringVar(&s.kubeconfig, "kubeconfig", "", "how to reach the API server; empty: as a Pod of its cluster")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	var errs []error
	if f.NArg() > 0 {
		errs = append(errs, fmt.Errorf("expected flags only, found %q", f.Arg(0)))
	}
	var err error
	if s.replicas, err = labels.Parse(s.replicasSelector); err != nil {
		errs = append(errs, fmt.Errorf("--replicas-selector: %w", err))
	} else if s.replicas.Empty() {
		errs = append(errs, errors.New("--replicas-selector: expected labels; an empty selector would take every Pod for a replica"))
	}
	return s, errors.Join(errs...)
}

func (s *settings) options(log *slog.Logger) controllers.Options {
	return controllers.Options{Namespace: s.namespace, ServiceAccount: s.serviceAccount, Replicas: s.replicas, SharedStore: s.sharedStore, Log: log}
}

// client says how the API server is reached.
func (s *settings) client() (*rest.Config, error) {
	if s.kubeconfig != "" {
		return clientcmd.BuildConfigFromFlags("", s.kubeconfig)
	}
	return rest.InClusterConfig()
}
