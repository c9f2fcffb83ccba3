// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/exchequer-dev/exchequer/cmd/internal/ui"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
)

type mintFlags struct {
	keyFlags
	issuer, sub, scope string
	aud, claims        []string
	claimsFile         string
	typ, recipient     string
	saml               bool
	expiresIn          time.Duration
}

func newTokenMintCommand(now func() time.Time) *cobra.Command {
	var f mintFlags
	c := &cobra.Command{
		Use:   "mint",
		Short: "Make a token of an issuer whose private key you have",
		Long: `Make a token of an issuer whose private key you have, and print it.

This plays an identity provider in development and in tests. The token says what
the flags say, and iss, iat, exp and a fresh jti besides; nothing is checked, and
it is worth nothing to anybody who does not trust the key. A --claim whose value
is JSON has that value, any other text is a string: --claim admin=true is a
boolean, --claim admin='"true"' a string. --claim wins over the other flags, and
they over --claims; an empty value of --claim leaves the claim out.

The key is PKCS #8 in PEM, as "openssl genpkey -algorithm EC -pkeyopt
ec_paramgen_curve:P-256" writes it, or --new-key makes one, readable by its owner
alone. Its kid is the RFC 7638 thumbprint. "exchequer token jwks" prints the
public half, for keys.inline of a TrustedIssuer or for a client's privateKeyJWT.

Exit codes: 0 done; 2 wrong usage.`,
		Example: `  exchequer token mint --key issuer.pem --new-key --issuer https://login.corp.example \
    --sub alice --aud shop-app --scope 'images contacts' --claim groups='["staff"]'
  exchequer token mint --keys ./keys --issuer https://login.corp.example --claims alice.yaml > token.jwt
  exchequer token mint --key idp.pem --saml --issuer https://idp.corp.example/saml --sub alice \
    --aud https://sts.example.com/saml --recipient https://sts.example.com/token --claim groups='["staff"]'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			token, err := f.mint(c.InOrStdin(), now())
			if err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), token)
			return nil
		},
	}
	flags := c.Flags()
	f.register(flags)
	flags.BoolVar(&f.fresh, "new-key", false, "make the key: --key FILE must not be there yet, --keys DIR gets one more")
	flags.StringVar(&f.issuer, "issuer", "", "claim iss: the issuer's `URL`")
	flags.StringVar(&f.sub, "sub", "", "claim sub: the `SUBJECT`")
	flags.StringArrayVar(&f.aud, "aud", nil, "claim aud: `NAME` of an audience; repeated, a list")
	flags.StringVar(&f.scope, "scope", "", "claim scope: `SCOPES`, separated by spaces")
	flags.StringArrayVar(&f.claims, "claim", nil, "another claim, `NAME=VALUE`, VALUE being JSON or text; can be repeated")
	flags.StringVar(&f.claimsFile, "claims", "", "`FILE` with more claims, JSON or YAML; - is standard input")
	flags.StringVar(&f.typ, "typ", "JWT", "header typ: `TYPE`; at+jwt makes it an access token by RFC 9068")
	flags.BoolVar(&f.saml, "saml", false, "make a SAML 2.0 assertion in base64url: --issuer is its entity ID, --sub its NameID, other claims are attributes")
	flags.StringVar(&f.recipient, "recipient", "", "with --saml: `URL` of the token endpoint that it is for")
	flags.DurationVar(&f.expiresIn, "expires-in", time.Hour, "lifetime; a negative one makes a token that has expired")
	return c
}

func (f *mintFlags) mint(stdin io.Reader, now time.Time) (string, error) {
	claims, err := f.payload(stdin, now)
	if err != nil {
		return "", err
	}
	key, err := f.signing()
	if err != nil {
		return "", err
	}
	if f.saml {
		return f.assertion(claims, key, now)
	}
	if f.recipient != "" {
		return "", usage("--recipient belongs to --saml")
	}
	signer, err := jose.NewSigner(key, f.typ)
	if err != nil {
		return "", usage("--typ: expected a media type such as JWT or at+jwt")
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encode the claims: %w", err)
	}
	token, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return token, nil
}

// payload puts the claims together, the more particular flag over the more general.
func (f *mintFlags) payload(stdin io.Reader, now time.Time) (map[string]any, error) {
	claims := map[string]any{}
	if f.claimsFile != "" {
		b, err := readObject(stdin, f.claimsFile, "--claims")
		if err != nil {
			return nil, err
		}
		d := json.NewDecoder(strings.NewReader(string(b)))
		d.UseNumber() // a number goes through as it was written
		if err := d.Decode(&claims); err != nil {
			return nil, usage("--claims: expected an object")
		}
	}
	for name, value := range map[string]any{"iat": now.Unix(), "exp": now.Add(f.expiresIn).Unix(), "jti": rand.Text()} {
		if _, there := claims[name]; !there {
			claims[name] = value
		}
	}
	if f.issuer != "" {
		claims["iss"] = f.issuer
	}
	if f.sub != "" {
		claims["sub"] = f.sub
	}
	switch len(f.aud) {
	case 0:
	case 1:
		claims["aud"] = f.aud[0]
	default:
		claims["aud"] = f.aud
	}
	if f.scope != "" {
		claims["scope"] = f.scope
	}
	for _, c := range f.claims {
		name, text, found := strings.Cut(c, "=")
		if !found || name == "" {
			return nil, usage("--claim: expected NAME=VALUE, for example groups='[\"staff\"]'")
		}
		if text == "" {
			delete(claims, name)
			continue
		}
		claims[name] = claimValue(text)
	}
	if iss, _ := claims["iss"].(string); iss == "" {
		return nil, usage("--issuer is missing: the iss of the token")
	}
	return claims, nil
}

// claimValue is the JSON that text is, or else the text.
func claimValue(text string) any {
	if !json.Valid([]byte(text)) {
		return text
	}
	return json.RawMessage(text)
}

func newTokenJWKSCommand() *cobra.Command {
	var f keyFlags
	format := ui.NewFormat(ui.JSONFormat, ui.YAMLFormat)
	c := &cobra.Command{
		Use:   "jwks",
		Short: "Print the public JWK Set of private keys",
		Long: `Print the public halves of private keys as a JWK Set: what an issuer publishes, and
what stands under keys.inline of a TrustedIssuer or under privateKeyJWT of an
ExchangeClient.

Exit codes: 0 done; 2 wrong usage.`,
		Example: `  exchequer token jwks --key issuer.pem -o yaml
  exchequer token jwks --keys ./keys > jwks.json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := f.all()
			if err != nil {
				return err
			}
			public := make([]*jose.PublicKey, 0, len(all))
			for _, k := range all {
				if f.id == "" || f.id == k.KeyID() {
					public = append(public, k.Public())
				}
			}
			set, err := jose.NewKeySet(public...)
			if err != nil {
				return usage("--keys: two files hold the same key")
			}
			return ui.Encode(c.OutOrStdout(), format.String(), set)
		},
	}
	f.register(c.Flags())
	c.Flags().VarP(format, "output", "o", "format of the set")
	return c
}
