// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

const (
	// maxCredential is what is kept of one value of a Secret: an RSA key of 4096 bits
	// with a chain of four certificates is about 10 KiB.
	maxCredential = 16 << 10
	// maxCredentials bounds all of them together: they travel in one Secret, which
	// has room for 1 MiB.
	maxCredentials = 900 << 10
	// tlsKey is where a Secret of type kubernetes.io/tls has the private key.
	tlsKey = "tls.key"
	// maxCredentialName is what the key of a Secret may have, less a margin.
	maxCredentialName = 200
)

// clientAuth reads how this installation authenticates itself to another server.
// The secret itself goes on beside the Spec, under the name that the Spec has.
func (w *world) clientAuth(o *object, field string, in *v1alpha1.ClientAuth) *policy.UpstreamAuth {
	if in == nil {
		return nil
	}
	out := &policy.UpstreamAuth{ClientID: in.ClientID}
	if o.text(field+".clientID", in.ClientID, 1, maxNameBytes) && !isVisible(strings.ReplaceAll(in.ClientID, " ", ""), "") {
		o.invalid(field+".clientID", "expected printable ASCII")
	}
	var set members
	set.add("secretRef", in.SecretRef != nil)
	set.add("privateKeyJWT", in.PrivateKeyJWT != nil)
	set.add("mutualTLS", in.MutualTLS != nil)
	if in.Method != "" && in.SecretRef == nil {
		o.invalid(field+".method", "it says where a client secret is sent: it needs secretRef")
	}
	if !o.exactlyOne(field, set, "secretRef, privateKeyJWT and mutualTLS") {
		return out
	}
	switch {
	case in.SecretRef != nil:
		out.Method = policy.UpstreamBasic
		if oneOf(o, field+".method", in.Method, v1alpha1.ClientSecretBasic, v1alpha1.ClientSecretPost) == v1alpha1.ClientSecretPost {
			out.Method = policy.UpstreamPost
		}
		out.Credential = w.credential(o, field+".secretRef", in.SecretRef, secretText)
	case in.PrivateKeyJWT != nil:
		out.Method = policy.UpstreamPrivateKeyJWT
		if ref := in.PrivateKeyJWT.SecretRef; ref != nil {
			out.Credential = w.credential(o, field+".privateKeyJWT.secretRef", ref, privateKey)
		}
	default:
		out.Method = policy.UpstreamMutualTLS
		out.Credential = w.certificatePair(o, field+".mutualTLS.secretRef", &in.MutualTLS.SecretRef)
	}
	return out
}

// secretText says what is wrong with a client secret that others gave us: they
// choose how long it is.
func secretText(value []byte) string {
	if len(value) == 0 {
		return "is empty"
	}
	if s := string(value); strings.TrimSpace(s) != s {
		return "begins or ends with white space or a line break, which would be sent with it: write it without (printf %s instead of echo)"
	}
	return ""
}

func privateKey(value []byte) string {
	block, rest := pem.Decode(value)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
		return `is not one PEM block "PRIVATE KEY" (PKCS #8)`
	}
	if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
		return "is not a private key in PKCS #8"
	}
	return ""
}

func (w *world) credential(o *object, field string, ref *v1alpha1.KeyReference, wrong func([]byte) string) string {
	value, ok := w.operatorSecret(o, field, ref.Name, ref.Key)
	if !ok {
		return ""
	}
	if why := wrong(value); why != "" {
		o.unresolved(v1alpha1.ReasonSecretNotFound, field, "key %q of Secret %s %s", ref.Key, ref.Name, why)
		return ""
	}
	return o.present(credentialName(ref.Name, ref.Key), value)
}

// certificatePair reads a client certificate and its key, which travel as one value
// so that no replica can ever have one without the other.
func (w *world) certificatePair(o *object, field string, ref *v1alpha1.KeyReference) string {
	certificate, ok := w.operatorSecret(o, field, ref.Name, ref.Key)
	if !ok {
		return ""
	}
	key, ok := w.operatorSecret(o, field, ref.Name, tlsKey)
	if !ok {
		return ""
	}
	if _, err := tls.X509KeyPair(certificate, key); err != nil {
		o.unresolved(v1alpha1.ReasonSecretNotFound, field, "keys %q and %q of Secret %s are not a certificate and its private key in PEM", ref.Key, tlsKey, ref.Name)
		return ""
	}
	both := append(append(append([]byte(nil), certificate...), '\n'), key...)
	return o.present("_pair-"+credentialName(ref.Name, ref.Key), both)
}

// operatorSecret reads one value of a Secret of the operator's namespace.
func (w *world) operatorSecret(o *object, field, name, key string) ([]byte, bool) {
	at := types.NamespacedName{Namespace: w.in.OperatorNamespace, Name: name}
	data, ok := w.in.Secrets[at]
	o.hangsOnData("Secret", at, ok, w.in.SecretVersions)
	if permit := w.in.SecretsDenied[at.Namespace]; !ok && permit != "" {
		o.unresolved(v1alpha1.ReasonRefNotPermitted, field, "the Secrets of namespace %s may not be read: %s", at.Namespace, permit)
		return nil, false
	}
	if !ok {
		o.unresolved(v1alpha1.ReasonSecretNotFound, field, "there is no Secret %s in namespace %s", name, at.Namespace)
		return nil, false
	}
	value, ok := data[key]
	switch {
	case !ok:
		o.unresolved(v1alpha1.ReasonSecretNotFound, field, "Secret %s in namespace %s has no key %q", name, at.Namespace, key)
	case len(value) > maxCredential:
		o.unresolved(v1alpha1.ReasonSecretNotFound, field, "key %q of Secret %s has %d bytes: expected at most %d", key, name, len(value), maxCredential)
		ok = false
	}
	return value, ok
}

// present notes what is presented to others for this object.
func (o *object) present(name string, value []byte) string {
	if o.credentials == nil {
		o.credentials = map[string][]byte{}
	}
	o.credentials[name] = value
	return name
}

// credentialName is the key under which a value travels. No Secret's name has an
// underscore, so that two references never share one, and a prefix that begins with
// one is nobody's; a name that is too long for a key is named by its digest.
func credentialName(secret, key string) string {
	name := secret + "_" + key
	if len(name) <= maxCredentialName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return "_" + hex.EncodeToString(sum[:])
}

// presented gathers what objects in force present to others. An object whose secrets
// have no room any more is out, as over any other budget: the last by kind and name.
func (w *world) presented() {
	w.credentials = map[string][]byte{}
	total := 0
	for _, o := range w.objects {
		if !o.inForce() || len(o.credentials) == 0 {
			continue
		}
		more := 0
		for name, value := range o.credentials {
			if _, there := w.credentials[name]; !there {
				more += len(name) + len(value)
			}
		}
		if total+more > maxCredentials {
			o.problem(v1alpha1.ReasonQuotaExceeded, "spec", "the secrets that this installation presents to others have no room in one Secret: all together may have %d bytes", maxCredentials)
			continue
		}
		total += more
		maps.Copy(w.credentials, o.credentials)
	}
}
