// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"crypto"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/saml"
	fake "github.com/exchequer-dev/exchequer/test/fakes/saml"
	"github.com/exchequer-dev/exchequer/test/fakes/upstream"
)

const (
	typeSAML  = "urn:ietf:params:oauth:token-type:saml2"
	idpEntity = "https://adfs.corp.example/adfs/services/trust"
	ourEntity = "https://sts.example.com/saml"
	legacySP  = "https://legacy.media.example/sp"
	legacyACS = "https://legacy.media.example/acs"
)

// samlWorld adds an identity provider, and an API that takes assertions only.
const samlManifests = `
apiVersion: exchequer.dev/v1alpha1
kind: TokenService
metadata: {name: default}
spec:
  issuer: https://sts.example.com
  allowedNamespaces: {names: [shop, media]}
  names:
  - {namespaces: {names: [media]}, scopes: [images, contacts], resources: ["https://images.media.example/*"], audiences: ["https://legacy.media.example/*"]}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: corp}
spec:
  jwt: {issuer: {url: "$CORP", audiences: ["https://sts.example.com"]}}
  network: {allowedCIDRs: [127.0.0.0/8]}
  allowedNamespaces: {all: true}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: east}
spec:
  use: [Client, Subject]
  allowedNamespaces: {all: true}
  kubernetes:
    cluster:
      remote: {issuer: {url: "https://east.cluster.example"}, keys: {inline: $CLUSTERKEYS}}
    audiences: ["https://sts.example.com/workloads"]
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: adfs}
spec:
  allowedNamespaces: {all: true}
  network: {allowedCIDRs: [127.0.0.0/8]}
  saml: {entityID: "https://adfs.corp.example/adfs/services/trust", $IDPKEYS, audiences: ["https://sts.example.com/saml"]}
  claimMappings:
    username: {expression: claims.mail}
    groups: {claim: groups}
    authentication: {acr: {claim: acr}, authTime: {claim: auth_time}}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: media, name: legacy}
spec:
  saml:
    entityID: https://legacy.media.example/sp
    recipient: https://legacy.media.example/acs
    nameIDFormat: EmailAddress
    attributes:
    - {name: "urn:oid:1.3.6.1.4.1.5923.1.5.1.1", expression: subject.groups}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: from-saml}
spec:
  clients: [{namespace: shop, name: app}]
  subject:
    issuers: [{name: adfs}]
    tokenTypes: [SAML2]
    audience: {match: Issuer}
    rules: [{expression: "'adfs:staff' in subject.groups", message: staff only}]
  target: {clients: [{name: images-resource}], scopes: [images], scopeMode: Grant}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: to-saml}
spec:
  clients: [{namespace: media, name: images-resource}]
  subject: {issuers: [{self: true, origins: [adfs]}]}
  target: {clients: [{name: legacy}], scopes: []}
  token:
    types: [SAML2]
    claims: [{name: floor, expression: "3"}]
`

// samlWorld has an identity provider whose certificate is written down.
func samlWorld(t *testing.T) (*world, *fake.IdP) {
	t.Helper()
	idp, err := fake.New(idpEntity, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.words["$IDPKEYS"] = `certificates: ["` + strings.ReplaceAll(idp.PEM(), "\n", `\n`) + `"]`
	w.write("platform.yaml", samlManifests)
	return w, idp
}

func assertion(idp *fake.IdP) fake.Assertion {
	a := idp.Assertion(time.Now().Truncate(time.Second), ourEntity, sts+"/token")
	a.ID = "_" + random()
	return a
}

func issue(t *testing.T, idp *fake.IdP, a fake.Assertion) string {
	t.Helper()
	token, err := idp.Token(a)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// saml asks with an assertion.
func (s *server) saml(token string) *asking {
	return s.ask(token).app().images().with("subject_token_type", typeSAML)
}

func TestAnAssertionBecomesAnAccessTokenAndAnAssertionAgain(t *testing.T) {
	t.Parallel()
	w, idp := samlWorld(t)
	s := w.serve()
	in := assertion(idp)
	token := issue(t, idp, in)
	first := s.saml(token).send().allowed()
	d := s.verify(first)
	if d.text("sub") != "adfs:alice" || d.text("scope") != "images" || d.text("acr") != fake.Password || d.number("auth_time") != in.IssuedAt.Unix() {
		t.Errorf("claims: %v", d.claims)
	}
	if strings.Contains(s.errs.String()+strings.Join(texts(s.records()), ""), token[:80]) {
		t.Error("the assertion is in a log")
	}

	r := s.ask(first).basic("media/images-resource", imagesSecret).with("requested_token_type", typeSAML).with("audience", legacySP).send()
	second := r.allowed()
	if r.text("issued_token_type") != typeSAML || r.text("token_type") != "N_A" {
		t.Errorf("answer: %s", r.body)
	}
	document, err := base64.RawURLEncoding.Strict().DecodeString(second)
	if err != nil {
		t.Fatalf("R26: not base64url: %v", err)
	}
	metadata := s.getAt("", "/saml/metadata")
	if got := metadata.header.Get("Content-Type"); got != "application/samlmetadata+xml" {
		t.Errorf("metadata: %s", got)
	}
	certificates, err := saml.ParseMetadata([]byte(metadata.body), sts, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := saml.Parse(second, 0)
	if err != nil {
		t.Fatal(err)
	}
	out, _, err := parsed.Verify([]crypto.PublicKey{certificates[0].PublicKey})
	if err != nil {
		t.Fatal(err)
	}
	attributes := map[string][]string{}
	for _, a := range out.Attributes {
		attributes[a.Name] = a.Values
	}
	switch {
	case out.Issuer != sts || out.NameID.Value != "alice@corp.example" || out.NameID.Format != saml.FormatEmailAddress:
		t.Errorf("issuer %s, name %+v", out.Issuer, out.NameID)
	case !slices.Equal(out.Audiences, []string{legacySP}) || out.Recipient != legacyACS:
		t.Errorf("audiences %v, recipient %s", out.Audiences, out.Recipient)
	case out.AuthnContext != fake.Password || !out.AuthenticatedAt.Equal(in.IssuedAt):
		t.Errorf("authentication %s at %s", out.AuthnContext, out.AuthenticatedAt)
	case !slices.Equal(attributes["urn:oid:1.3.6.1.4.1.5923.1.5.1.1"], []string{"adfs:staff", "adfs:doctors"}) || !slices.Equal(attributes["floor"], []string{"3"}):
		t.Errorf("attributes %v", attributes)
	case !slices.Equal(attributes["client_id"], []string{imagesAPI}) || !slices.Equal(attributes["txn"], []string{d.text("txn")}):
		t.Errorf("attributes %v", attributes)
	case out.ExpiresAt.Sub(out.IssuedAt) != 5*time.Minute || out.ExpiresAt.After(time.Unix(d.number("exp"), 0)):
		t.Errorf("lives from %s to %s", out.IssuedAt, out.ExpiresAt)
	}
	if err := fake.Verify(string(document), certificates[0].PublicKey); err != nil {
		t.Errorf("by hand: %v", err)
	}
	xmlsec(t, document, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificates[0].Raw}))
}

// xmlsec has an independent implementation verify the signature, where there is one.
func xmlsec(t *testing.T, document, certificate []byte) {
	t.Helper()
	tool, err := exec.LookPath("xmlsec1")
	if err != nil {
		t.Log("xmlsec1 is not installed: not asked")
		return
	}
	file, key := filepath.Join(t.TempDir(), "assertion.xml"), filepath.Join(t.TempDir(), "cert.pem")
	for name, content := range map[string][]byte{file: document, key: certificate} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), tool, "--verify", "--enabled-key-data", "key-name", "--pubkey-cert-pem", key,
		"--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion", file).CombinedOutput()
	if err != nil {
		t.Errorf("xmlsec1: %v\n%s", err, out)
	}
}

func TestAnAssertionIsRefused(t *testing.T) {
	t.Parallel()
	w, idp := samlWorld(t)
	s := w.serve()
	stranger, err := fake.New("https://other.example/saml", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	thief, err := fake.New(idpEntity, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	changed := func(edit func(*fake.Assertion)) func(*testing.T) string {
		return func(t *testing.T) string {
			a := assertion(idp)
			edit(&a)
			return issue(t, idp, a)
		}
	}
	by := func(other *fake.IdP) func(*testing.T) string {
		return func(t *testing.T) string { return issue(t, other, assertion(other)) }
	}
	for name, c := range map[string]struct {
		token  func(*testing.T) string
		reason string
	}{
		"F238: for another audience":         {changed(func(a *fake.Assertion) { a.Audiences = []string{"https://other.example"} }), "SubjectAudience"},
		"F238: for another recipient":        {changed(func(a *fake.Assertion) { a.Recipient = "https://other.example/acs" }), "SubjectAudience"},
		"F239: after its end":                {changed(func(a *fake.Assertion) { a.ExpiresAt = time.Now().Add(-time.Minute) }), "TokenExpired"},
		"F239: before its beginning":         {changed(func(a *fake.Assertion) { a.NotBefore = time.Now().Add(2 * time.Minute) }), "TokenNotYetValid"},
		"of a stranger":                      {by(stranger), "IssuerUnknown"},
		"F236: with another's key":           {by(thief), "TokenSignature"},
		"not of a group":                     {changed(func(a *fake.Assertion) { a.Attributes = a.Attributes[:1] }), "SubjectRule"},
		"a name that begins with a system's": {changed(func(a *fake.Assertion) { a.NameID = "" }), "TokenMalformed"},
		"F33: a JWT":                         {func(*testing.T) string { return s.user() }, "TokenMalformed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.in(t).saml(c.token(t)).send().refused(http.StatusBadRequest, "invalid_request", c.reason)
		})
	}
	t.Run("F33: presented as another type", func(t *testing.T) {
		t.Parallel()
		for _, as := range []string{typeJWT, typeAccess, typeID} {
			s.in(t).saml(issue(t, idp, assertion(idp))).with("subject_token_type", as).send().refused(http.StatusBadRequest, "invalid_request", "TokenMalformed")
		}
	})
	t.Run("F239: with OneTimeUse, once; without, again", func(t *testing.T) {
		t.Parallel()
		a := assertion(idp)
		again := issue(t, idp, a)
		a.ID, a.OneTimeUse = "_"+random(), true
		once := issue(t, idp, a)
		s := s.in(t)
		for range 2 {
			s.saml(again).send().allowed()
		}
		s.saml(once).with("scope", "contacts").send().refused(http.StatusBadRequest, "invalid_scope", "ScopeUnknown") // uses nothing up
		s.saml(once).send().allowed()
		s.saml(once).send().refused(http.StatusBadRequest, "invalid_request", "ReplayDetected")
	})
}

func TestKeysComeFromMetadata(t *testing.T) {
	t.Parallel()
	w, idp := samlWorld(t)
	up, err := upstream.Start(upstream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = up.Close() })
	up.Handle("/metadata.xml", func(*upstream.Call) upstream.Reply {
		return upstream.Reply{Status: http.StatusOK, Header: map[string]string{"Content-Type": "application/samlmetadata+xml"}, Body: idp.Metadata()}
	})
	w.words["$IDPKEYS"] = `metadataURL: "` + up.URL("/metadata.xml") + `"`
	w.write("platform.yaml", samlManifests)
	s := w.serve()
	s.saml(issue(t, idp, assertion(idp))).send().allowed()
}
