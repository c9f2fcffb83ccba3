// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
)

type proofFlags struct {
	key, method, url, tokenFile, nonce string
}

func newTokenProofCommand(now func() time.Time) *cobra.Command {
	var f proofFlags
	c := &cobra.Command{
		Use:   "proof",
		Short: "Make a DPoP proof with a private key",
		Long: `Make a DPoP proof (RFC 9449) with a private key, and print it: what a client sends
in the DPoP header with a request, to show that it has the key which its token is
bound to. It is good for one request to one URL, for a minute.

"exchequer exchange --dpop-key" makes its own. This is for requests to others, and
for tests.

Exit codes: 0 done; 2 wrong usage.`,
		Example: `  exchequer token proof --key dpop.pem --method GET --url https://api.example.com/orders --token-file token.jwt
  exchequer token proof --key dpop.pem --url https://sts.example.com/token`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			proof, err := f.proof(c.InOrStdin(), now())
			if err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), proof)
			return nil
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.key, "key", "", "`FILE` with the private key: PKCS #8 in PEM")
	flags.StringVar(&f.method, "method", http.MethodPost, "`METHOD` of the request")
	flags.StringVar(&f.url, "url", "", "`URL` of the request")
	flags.StringVar(&f.tokenFile, "token-file", "", "`FILE` with the token that goes with the request; - is standard input")
	flags.StringVar(&f.nonce, "nonce", "", "`NONCE` that the server asked for (DPoP-Nonce)")
	return c
}

func (f *proofFlags) proof(stdin io.Reader, now time.Time) (string, error) {
	if f.key == "" {
		return "", usage("--key FILE is missing")
	}
	u, err := url.Parse(f.url)
	if err != nil || u.Host == "" {
		return "", usage("--url: expected the URL of the request, such as https://api.example.com/orders")
	}
	u.RawQuery, u.Fragment = "", "" // RFC 9449 section 4.2
	claims := map[string]any{"jti": rand.Text(), "htm": f.method, "htu": u.String(), "iat": now.Unix()}
	if f.nonce != "" {
		claims["nonce"] = f.nonce
	}
	if f.tokenFile != "" {
		token, err := readToken(stdin, f.tokenFile, "--token-file")
		if err != nil {
			return "", err
		}
		sum := sha256.Sum256([]byte(token))
		claims["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	key, err := readKey(f.key, "")
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("make the DPoP proof: %w", err)
	}
	return jose.SignEmbedded(key, "dpop+jwt", payload)
}
