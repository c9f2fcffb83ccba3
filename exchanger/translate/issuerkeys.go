// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/issuer/egress"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// keys reads where an issuer's keys come from. Nothing set means discovery.
func (w *world) keys(i *issuer, field, issuerField string, in *v1alpha1.KeysFrom, discoveryURL v1alpha1.URL, ca v1alpha1.PEM, rules egress.Rules) {
	k := policy.Keys{AllowedCIDRs: i.spec.Keys.AllowedCIDRs, DiscoveryURL: string(discoveryURL)}
	k.CABundle = i.certificates(issuerField+".certificateAuthority", ca)
	if discoveryURL != "" {
		w.dialled(i.object, issuerField+".discoveryURL", discoveryURL, rules)
	}
	var set members
	set.add("discovery", in.Discovery != nil)
	set.add("jwksURL", in.JWKSURL != "")
	set.add("inline", in.Inline != nil)
	set.add("configMapRef", in.ConfigMapRef != nil)
	if len(set) == 0 || i.exactlyOne(field, set, "discovery, jwksURL, inline and configMapRef") {
		switch {
		case in.JWKSURL != "":
			w.dialled(i.object, field+".jwksURL", in.JWKSURL, rules)
			k.JWKSURL = string(in.JWKSURL)
		case in.Inline != nil:
			k.Inline = w.inlineKeys(i.object, field+".inline", in.Inline)
		case in.ConfigMapRef != nil:
			k.Inline = w.keysOfConfigMap(i.object, field+".configMapRef", w.in.OperatorNamespace, in.ConfigMapRef)
		}
	}
	if discoveryURL != "" && (k.JWKSURL != "" || in.Inline != nil || in.ConfigMapRef != nil) {
		i.invalid(issuerField+".discoveryURL", "it has no effect beside %s of %s: take one out", set[0], field)
	}
	i.spec.Keys = k
}

func (w *world) dialled(o *object, field string, raw v1alpha1.URL, rules egress.Rules) {
	if len(raw) > 1024 {
		o.invalid(field, "expected at most 1024 bytes")
		return
	}
	if _, err := rules.ParseURL(string(raw)); err != nil {
		o.invalid(field, "%s", plain(err))
	}
}

// certificates reads a PEM bundle.
func (o *object) certificates(field string, text v1alpha1.PEM) string {
	if text == "" {
		return ""
	}
	o.text(field, string(text), 1, 65536)
	rest, found := []byte(text), 0
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			o.invalid(field, "block %d is not a CERTIFICATE", found+1)
			return ""
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			o.invalid(field, "certificate %d cannot be read", found+1)
			return ""
		}
		found++
	}
	if found == 0 || strings.TrimSpace(string(rest)) != "" {
		o.invalid(field, "expected one or more certificates in PEM form and nothing else")
		return ""
	}
	return string(text)
}

// inlineKeys reads a key set that stands in the object.
func (w *world) inlineKeys(o *object, field string, set *v1alpha1.JSONWebKeySet) string {
	text, err := json.Marshal(set)
	if err != nil {
		o.invalid(field, "it cannot be written as JSON")
		return ""
	}
	return w.keySet(o, field, text)
}

// keysOfConfigMap reads a key set out of a ConfigMap.
func (w *world) keysOfConfigMap(o *object, field, namespace string, ref *v1alpha1.KeyReference) string {
	text, ok := w.configMapText(o, field, namespace, ref)
	if !ok {
		return ""
	}
	return w.keySet(o, field, []byte(text))
}

// configMapText is one key of a ConfigMap; what is missing is said.
func (w *world) configMapText(o *object, field, namespace string, ref *v1alpha1.KeyReference) (string, bool) {
	at := types.NamespacedName{Namespace: namespace, Name: ref.Name}
	data, ok := w.in.ConfigMaps[at]
	o.hangsOnData("ConfigMap", at, ok, w.in.ConfigMapVersions)
	if permit := w.in.ConfigMapsDenied[namespace]; !ok && permit != "" {
		o.unresolved(v1alpha1.ReasonRefNotPermitted, field, "the ConfigMaps of namespace %s may not be read: %s", namespace, permit)
		return "", false
	}
	if !ok {
		o.unresolved(v1alpha1.ReasonRefNotFound, field, "there is no ConfigMap %s in namespace %s", ref.Name, namespace)
		return "", false
	}
	text, ok := data[ref.Key]
	if !ok {
		o.unresolved(v1alpha1.ReasonRefNotFound, field, "ConfigMap %s in namespace %s has no key %q", ref.Name, namespace, ref.Key)
	}
	return text, ok
}

// maxKeySet bounds a key set: 50 keys, each with its certificate chain about 5 KiB.
const maxKeySet = 256 << 10

// privateMembers are those of private and symmetric keys (RFC 7518, section 6).
var privateMembers = [...]string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// keySet refuses private keys, which everybody who may read the object has seen,
// and sets of which no key is usable.
func (w *world) keySet(o *object, field string, text []byte) string {
	if !o.publicKeys(field, text) {
		return ""
	}
	checked := w.checkKeySet(text)
	if checked.err != nil {
		o.invalid(field, "%s", checked.err)
		return ""
	}
	return checked.text
}

// publicKeys refuses what is no key set of bearable size, and private keys in it.
func (o *object) publicKeys(field string, text []byte) bool {
	if len(text) > maxKeySet {
		o.invalid(field, "expected at most %d bytes, found %d", maxKeySet, len(text))
		return false
	}
	var set struct {
		Keys []map[string]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil || len(set.Keys) == 0 {
		o.invalid(field, `expected a JWK Set: {"keys": [...]} with at least one key`)
		return false
	}
	for n, key := range set.Keys {
		for _, m := range privateMembers {
			if _, there := key[m]; there {
				o.invalid(fmt.Sprintf("%s.keys[%d].%s", field, n, m), "it belongs to a private key: take it out, and replace the key, because it has been written down here")
				return false
			}
		}
	}
	return true
}

// keySetResult is a key set that was read. Equal ones share the text.
type keySetResult struct {
	text string
	err  error
}

// checkKeySet reads equal key sets once: the largest takes 100 ms, and many
// clients can refer to one ConfigMap.
func (w *world) checkKeySet(text []byte) keySetResult {
	if r, ok := w.keySets[string(text)]; ok {
		return r
	}
	r := keySetResult{text: string(text), err: w.in.CheckKeySet(text)}
	w.keySets[r.text] = r
	return r
}

// verify writes the Verified condition. Keys that stand in the object are usable
// or the object is Invalid; others are for whoever fetches them to tell.
func (w *world) verify(i *issuer) {
	status, reason, message := metav1.ConditionUnknown, v1alpha1.ReasonNeverFetched, "keys are fetched by the process that serves"
	switch {
	case !i.inForce():
		message = "keys are not looked at before the object is accepted and its references are resolved"
	case i.spec.Keys.Inline != "":
		status, reason, message = metav1.ConditionTrue, v1alpha1.ReasonVerified, "the keys were read, and are usable"
	case isOpaque(i.api):
		status, reason, message = metav1.ConditionTrue, v1alpha1.ReasonVerified, "it has no keys: its server is asked about every token"
	case isLocal(i.api):
		status, reason, message = w.verifyLocal()
	case w.in.KeyStatus != nil:
		known := w.known(i)
		message = known.Message
		switch known.State {
		case KeysReady:
			status, reason = metav1.ConditionTrue, v1alpha1.ReasonVerified
		case KeysStale:
			status, reason = metav1.ConditionTrue, v1alpha1.ReasonStale
		case KeysFailed:
			status = metav1.ConditionFalse
		case KeysExpired:
			status, reason = metav1.ConditionFalse, v1alpha1.ReasonKeysExpired
		case KeysPending:
			message = "no fetch has ended yet"
		}
	}
	c := condition(v1alpha1.ConditionVerified, status, reason, message, i.generation)
	i.verified = &c
}

// known asks once what is known about an issuer's keys: condition and carried keys
// must be of one moment.
func (w *world) known(i *issuer) *KeyStatus {
	if i.keys == nil {
		known := w.in.KeyStatus(i.name)
		i.keys = &known
	}
	return i.keys
}

// carryKeys puts the last good keys of every issuer in force into the Spec, so that
// a replica starts while an issuer is down. Nobody carries anything under `serve`.
func (w *world) carryKeys() {
	if w.in.Serve || w.in.KeyStatus == nil {
		return
	}
	for _, i := range w.issuers {
		if !i.inForce() || i.spec.Keys.Inline != "" || i.spec.Keys.Local || isOpaque(i.api) {
			continue
		}
		if known := w.known(i); known.Digest == i.spec.KeysDigest() && len(known.JWKS) <= maxKeySet {
			i.spec.Keys.Carried = string(known.JWKS)
		}
	}
}

// suspendedIssuer keeps the name of an absent issuer known, so that a refusal can
// say why. Its URL stays known where nobody else has it.
func (w *world) suspendedIssuer(i *issuer) policy.Issuer {
	out := policy.Issuer{Name: i.name, TokenService: i.service.name, Suspended: true, Kind: policy.IssuerJWT, URL: w.urlOf(i.api)}
	if i.api.Spec.Kubernetes != nil {
		out.Kind = policy.IssuerKubernetes
	}
	if i.api.Spec.SAML != nil {
		out.Kind = policy.IssuerSAML
	}
	if s := i.api.Spec.SPIFFE; s != nil {
		out.Kind, out.TrustDomain = policy.IssuerSPIFFE, s.TrustDomain
	}
	if isOpaque(i.api) {
		out.Kind = policy.IssuerWebhook // of the opaque kinds, whichever: nothing of it is used
	}
	for _, s := range w.services {
		if s.spec.Issuer == out.URL {
			out.URL = ""
		}
	}
	for _, o := range w.issuers {
		first := o.absent != "" && o.name < i.name
		if o != i && o.service == i.service && (o.inForce() || first) && w.urlOf(o.api) == out.URL && (o.api.Spec.SAML == nil) == (i.api.Spec.SAML == nil) {
			out.URL = ""
		}
	}
	if out.Kind.Opaque() {
		out.TokenTypeURI = out.URL
	}
	return out
}

func (w *world) urlOf(api *v1alpha1.TrustedIssuer) string {
	switch {
	case isLocal(api) && w.localCluster():
		return w.in.LocalCluster.Issuer
	case api.Spec.JWT != nil:
		return string(api.Spec.JWT.Issuer.URL)
	case api.Spec.SPIFFE != nil:
		return "spiffe://" + api.Spec.SPIFFE.TrustDomain
	case api.Spec.SAML != nil:
		return api.Spec.SAML.EntityID
	case api.Spec.Kubernetes != nil && api.Spec.Kubernetes.Cluster.Remote != nil:
		return string(api.Spec.Kubernetes.Cluster.Remote.Issuer.URL)
	}
	return tokenTypeOf(api)
}
