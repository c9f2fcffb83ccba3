// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/exchequer-dev/exchequer/cmd/internal/flags"
	"github.com/exchequer-dev/exchequer/cmd/internal/flags/serving"
	"github.com/exchequer-dev/exchequer/exchanger/server"
)

const (
	// leastAge is the least --max-snapshot-age: an API server is asked every minute,
	// and has to be allowed to be slow.
	leastAge = 2 * time.Minute
	// mostDrain bounds --drain-delay: with 25 s for requests in flight it has to stay
	// below any grace period that a Pod is likely to have.
	mostDrain = 2 * time.Minute
)

// settings are the flags.
type settings struct {
	listen, public, operations         string
	tls                                server.TLSFiles
	namespace, pod, podUID, kubeconfig string
	checkpoint, audit                  string
	redact                             bool
	redactKey                          string
	maxAge, drain                      time.Duration
	egress                             flags.Egress
	certificates                       serving.ClientCertificates
	store                              serving.Store

	// confirmEvery is for tests; 0 is the feed's own.
	confirmEvery time.Duration
}

// parse reads the settings. Its error is everything that is wrong.
func parse(args, environ []string, errs io.Writer) (*settings, error) {
	s := &settings{}
	f := pflag.NewFlagSet("exchanger", pflag.ContinueOnError)
	f.SetOutput(errs)
	f.SortFlags = false
	f.StringVar(&s.listen, "listen", ":8080", "address of the token endpoint, with key sets and metadata")
	f.StringVar(&s.tls.Certificate, "tls-cert", "", "PEM certificate chain: serve TLS; read again when it changes")
	f.StringVar(&s.tls.Key, "tls-key", "", "PEM key of --tls-cert")
	f.StringVar(&s.public, "public-listen", "", "further address that serves public keys and metadata only")
	f.StringVar(&s.operations, "ops-listen", ":8081", "address of /livez, /readyz and /metrics")
	f.StringVar(&s.namespace, "namespace", "exchequer-system", "the operator's namespace")
	f.StringVar(&s.pod, "pod-name", "", "this Pod, as which the replica acknowledges what it serves; with --pod-uid")
	f.StringVar(&s.podUID, "pod-uid", "", "the Pod's UID")
	f.StringVar(&s.checkpoint, "checkpoint", "", "directory, in memory, to start from when the API server does not answer")
	f.DurationVar(&s.maxAge, "max-snapshot-age", 24*time.Hour, "how long the policy is served that the API server does not confirm")
	f.StringVar(&s.audit, "audit", "", "file for audit records, opened anew at SIGHUP; standard output without it")
	f.BoolVar(&s.redact, "audit-redact", false, "replace personal data in audit records by pseudonyms")
	f.StringVar(&s.redactKey, "audit-redact-key", "", "file with at least 32 random bytes that pseudonyms hang on; without it they change with every process")
	f.DurationVar(&s.drain, "drain-delay", 3*time.Second, "how long a stopping replica still answers, so that load balancers notice")
	s.store.Add(f, serving.StoreNone)
	s.egress.Add(f)
	s.certificates.Add(f)
	f.StringVar(&s.kubeconfig, "kubeconfig", "", "how to reach the API server; without it, as a Pod of its cluster")
	return s, flags.Parse(f, args, environ, s.addresses, s.identity, s.bounds, s.egress.Check, s.certificates.Check, s.store.Check, s.tls.Check)
}

func (s *settings) addresses() error {
	var errs []error
	if s.listen == "" || s.operations == "" {
		errs = append(errs, errors.New("--listen and --ops-listen: expected an address such as :8080, found nothing"))
	}
	if same(s.listen, s.operations) || same(s.public, s.listen) || same(s.public, s.operations) {
		errs = append(errs, errors.New("--listen, --public-listen and --ops-listen: expected different addresses"))
	}
	if (s.tls.Certificate == "") != (s.tls.Key == "") {
		errs = append(errs, errors.New("--tls-cert and --tls-key: expected both or neither"))
	}
	return errors.Join(errs...)
}

// same says whether two listeners would want one address; port 0 is any.
func same(a, b string) bool { return a != "" && a == b && !strings.HasSuffix(a, ":0") }

func (s *settings) identity() error {
	var errs []error
	if len(validation.IsDNS1123Label(s.namespace)) > 0 {
		errs = append(errs, fmt.Errorf("--namespace: expected the name of a namespace, found %q", s.namespace))
	}
	if (s.pod == "") != (s.podUID == "") {
		errs = append(errs, errors.New("--pod-name and --pod-uid: expected both or neither"))
	}
	if s.pod != "" && len(validation.IsDNS1123Subdomain(s.pod)) > 0 {
		errs = append(errs, fmt.Errorf("--pod-name: expected the name of a Pod, found %q", s.pod))
	}
	return errors.Join(errs...)
}

func (s *settings) bounds() error {
	var errs []error
	if s.maxAge < leastAge {
		errs = append(errs, fmt.Errorf("--max-snapshot-age: expected at least %s, found %s", leastAge, s.maxAge))
	}
	if s.drain < 0 || s.drain > mostDrain {
		errs = append(errs, fmt.Errorf("--drain-delay: expected 0s to %s, found %s", mostDrain, s.drain))
	}
	return errors.Join(errs...)
}

// client says how the API server is reached.
func (s *settings) client() (*rest.Config, error) {
	if s.kubeconfig != "" {
		return clientcmd.BuildConfigFromFlags("", s.kubeconfig)
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, fmt.Errorf("reach the API server as a Pod (outside of a cluster, use --kubeconfig): %w", err)
	}
	return config, nil
}
