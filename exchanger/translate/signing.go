// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/keys/signer/address"
)

// serviceKeys judges where signing keys come from. The keys themselves are not
// part of the policy: the controller brings them to the exchanger beside it. So a
// Secret that is missing does not take the TokenService out of force, with all that
// belongs to it, while the keys that were in it last still sign: KeysReady tells.
func (w *world) serviceKeys(s *service, source v1alpha1.KeySource, in *v1alpha1.Signing) {
	const field = "spec.signing"
	if source != v1alpha1.KeySourceManaged && w.in.Serve {
		s.notSupported(field+".source", "%s needs a controller, which `exchequer serve` has not; served here: Managed", source)
		return
	}
	if (source == v1alpha1.KeySourceSecretRef) != (in.SecretRef != nil) || (source == v1alpha1.KeySourceExternal) != (in.External != nil) {
		s.invalid(field, "secretRef and external go with the source of that name, and with no other")
		return
	}
	if source != v1alpha1.KeySourceManaged && in.RotateAfter != "" {
		s.invalid(field+".rotateAfter", "it has no effect with source %s: provide a new key there, and it is rotated to", source)
	}
	if source == v1alpha1.KeySourceExternal {
		s.externalSigner(field+".external", in.External)
	}
}

func (s *service) externalSigner(field string, in *v1alpha1.ExternalSigner) {
	local, err := address.Parse(in.Address)
	switch certified := in.CABundle != "" || in.ClientCertificateRef != nil; {
	case err != nil:
		s.invalid(field+".address", "%s", err)
	case local && certified:
		s.invalid(field, "certificates have no effect on a unix socket: take caBundle and clientCertificateRef out")
	case !local && (in.CABundle == "" || in.ClientCertificateRef == nil):
		s.invalid(field, "a signer at host:port is reached by mutual TLS only: give caBundle and clientCertificateRef")
	}
	s.certificates(field+".caBundle", in.CABundle)
}
