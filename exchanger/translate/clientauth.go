// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// authentication reads one way in which a client proves who it is.
func (w *world) authentication(c *client, field string, in *v1alpha1.ClientAuthentication) {
	var set members
	set.add("kubernetesServiceAccount", in.KubernetesServiceAccount != nil)
	set.add("privateKeyJWT", in.PrivateKeyJWT != nil)
	set.add("clientSecret", in.ClientSecret != nil)
	set.add("mutualTLS", in.MutualTLS != nil)
	set.add("spiffe", in.SPIFFE != nil)
	set.add("public", in.Public != nil)
	if !c.exactlyOne(field, set, "kubernetesServiceAccount, privateKeyJWT, clientSecret, mutualTLS, spiffe and public") {
		return
	}
	field += "." + set[0]
	switch {
	case in.KubernetesServiceAccount != nil:
		w.serviceAccount(c, field, in.KubernetesServiceAccount)
	case in.PrivateKeyJWT != nil:
		w.privateKeyJWT(c, field, in.PrivateKeyJWT)
	case in.ClientSecret != nil:
		w.clientSecret(c, field, in.ClientSecret)
	case in.MutualTLS != nil:
		w.mutualTLS(c, field, in.MutualTLS)
	case in.SPIFFE != nil:
		w.spiffe(c, field, in.SPIFFE)
	case in.Public != nil:
		if c.spec.Public = true; len(c.api.Spec.Authentication) > 1 {
			c.invalid(field, "public stands alone: a client that can keep a secret is not public")
		}
	}
}

// serviceAccount ties a service account of the client's own namespace to it, in
// the cluster that issuer names.
func (w *world) serviceAccount(c *client, field string, in *v1alpha1.ServiceAccountAuthentication) {
	if !isSubdomain(in.Name) || len(in.Name) > 253 {
		c.invalid(field+".name", "expected the name of a service account")
	}
	c.text(field+".uid", in.UID, 0, 64)
	i, ok := w.issuerByName[in.Issuer]
	if in.Issuer == "" && c.service != nil {
		i = w.localOf(c.service)
		ok = i != nil
	}
	c.hangsOn(kindIssuer, "", in.Issuer, i.objectOf())
	switch {
	case !ok && in.Issuer == "":
		c.unresolved(v1alpha1.ReasonRefNotFound, field+".issuer",
			"it is empty, which means the local cluster, and no TrustedIssuer for that is accepted: name the TrustedIssuer of the service account's cluster")
	case c.service == nil:
	case !ok || i.service != c.service:
		c.unresolved(v1alpha1.ReasonRefNotFound, field+".issuer", "there is no TrustedIssuer %q that is accepted, for TokenService %s", in.Issuer, c.service.name)
	case i.spec.Kind != policy.IssuerKubernetes || !i.spec.ForClient:
		c.unresolved(v1alpha1.ReasonRefNotPermitted, field+".issuer", "TrustedIssuer %q does not authenticate service accounts: expected one of the member kubernetes whose use has Client", i.name)
	default:
		c.spec.ServiceAccounts = append(c.spec.ServiceAccounts,
			policy.ServiceAccount{Issuer: i.name, Namespace: c.namespace, Name: in.Name, UID: in.UID})
	}
}

func (w *world) privateKeyJWT(c *client, field string, in *v1alpha1.PrivateKeyJWTAuthentication) {
	var set members
	set.add("inline", in.Inline != nil)
	set.add("configMapRef", in.ConfigMapRef != nil)
	if !c.exactlyOne(field, set, "inline and configMapRef") {
		return
	}
	var keys string
	if in.Inline != nil {
		keys = w.inlineKeys(c.object, field+".inline", in.Inline)
	} else {
		keys = w.keysOfConfigMap(c.object, field+".configMapRef", c.namespace, in.ConfigMapRef)
	}
	if keys != "" {
		c.spec.AssertionKeys = append(c.spec.AssertionKeys, keys)
	}
}

// A client secret has at least 32 characters, so that its hash, and whoever tries,
// gets nowhere; and at most what fits a form besides a token.
const (
	minSecret = 32
	maxSecret = 4096
)

func (w *world) clientSecret(c *client, field string, in *v1alpha1.ClientSecretAuthentication) {
	var set members
	set.add("secretRef", in.SecretRef != nil)
	set.add("sha256", in.SHA256 != "")
	if !c.exactlyOne(field, set, "secretRef and sha256") {
		return
	}
	if in.SecretRef != nil {
		w.secret(c, field+".secretRef", in.SecretRef)
		return
	}
	if len(in.SHA256) != 64 || strings.Trim(in.SHA256, "0123456789abcdef") != "" {
		c.invalid(field+".sha256", "expected the SHA-256 of the secret as 64 lower-case hexadecimal digits; the secret itself must not stand here")
		return
	}
	c.spec.SecretDigests = append(c.spec.SecretDigests, in.SHA256)
}

// secret reads a client secret, of which only the hash goes on (F75).
func (w *world) secret(c *client, field string, ref *v1alpha1.KeyReference) {
	at := types.NamespacedName{Namespace: c.namespace, Name: ref.Name}
	data, ok := w.in.Secrets[at]
	c.hangsOnData("Secret", at, ok, w.in.SecretVersions)
	if !ok {
		if permit := w.in.SecretsDenied[c.namespace]; permit != "" {
			c.unresolved(v1alpha1.ReasonRefNotPermitted, field, "the Secrets of namespace %s may not be read: %s", c.namespace, permit)
			return
		}
		c.unresolved(v1alpha1.ReasonSecretNotFound, field, "there is no Secret %s in namespace %s", ref.Name, c.namespace)
		return
	}
	value, ok := data[ref.Key]
	switch n := utf8.RuneCount(value); {
	case !ok:
		c.unresolved(v1alpha1.ReasonSecretNotFound, field, "Secret %s has no key %q", ref.Name, ref.Key)
	case n < minSecret:
		c.unresolved(v1alpha1.ReasonSecretNotFound, field, "key %q of Secret %s has %d characters: expected at least %d, made at random", ref.Key, ref.Name, n, minSecret)
	case len(value) > maxSecret:
		c.unresolved(v1alpha1.ReasonSecretNotFound, field, "key %q of Secret %s has %d bytes: expected at most %d", ref.Key, ref.Name, len(value), maxSecret)
	default:
		switch s := string(value); {
		case strings.HasSuffix(s, "\n") || strings.HasSuffix(s, "\r"):
			// `echo secret | base64` does this. The bytes are the secret all the same:
			// one that is cut here would not be the one that the client has.
			c.warn("%s: key %q of Secret %s ends in a line break, which is part of the secret, so that the client must send it as well; "+
				"if nobody meant that, write the Secret anew without it: printf %%s instead of echo, before base64", field, ref.Key, ref.Name)
		case strings.TrimSpace(s) != s:
			c.warn("%s: the secret begins or ends with white space, which is part of it", field)
		}
		sum := sha256.Sum256(value)
		c.spec.SecretDigests = append(c.spec.SecretDigests, hex.EncodeToString(sum[:]))
	}
}
