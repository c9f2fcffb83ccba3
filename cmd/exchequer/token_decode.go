// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/exchequer-dev/exchequer/cmd/internal/ui"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
)

// decodedToken is what a token says, on its own word.
type decodedToken struct {
	Header map[string]any `json:"header"`
	Claims map[string]any `json:"claims"`
	Times  []decodedTime  `json:"times,omitempty"`
	// Actors are those of act, the one that acts now first.
	Actors []decodedActor `json:"actors,omitempty"`
	// Verified is always false: decoding verifies nothing.
	Verified bool `json:"verified"`
	// Refused says why the exchange would not even look at the claims.
	Refused string `json:"refused,omitempty"`
}

type decodedTime struct {
	Claim string    `json:"claim"`
	Time  time.Time `json:"time"`
	// Relative is how far that is from now.
	Relative string `json:"relative"`
}

type decodedActor struct {
	Issuer  string         `json:"iss,omitempty"`
	Subject string         `json:"sub,omitempty"`
	Client  string         `json:"client_id,omitempty"`
	Other   map[string]any `json:"other,omitempty"`
}

func newTokenDecodeCommand(now func() time.Time) *cobra.Command {
	format := ui.NewFormat(ui.TableFormat, ui.JSONFormat, ui.YAMLFormat)
	c := &cobra.Command{
		Use:   "decode [FILE|-]",
		Short: "Show what a token says, without verifying it",
		Long: `Show what a token says: header, claims, times, and who acts for whom; of a SAML
assertion in base64url what rules and claimMappings see of it. The token is read
from a file, or from standard input.

NOTHING is verified: anybody can write such a token. "exchequer token verify"
verifies one.

A token is not taken from the command line, where other users of the machine could
read it; pipe it instead.

Exit codes: 0 done; 2 this is no token, or wrong usage.`,
		Example: `  exchequer token decode token.jwt
  echo "$TOKEN" | exchequer token decode
  exchequer exchange … -o token | exchequer token decode -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			path := "-"
			if len(args) == 1 {
				path = args[0]
			}
			token, err := readToken(c.InOrStdin(), path, "token")
			if err != nil {
				return err
			}
			d, err := decodeToken(token, now())
			if err != nil {
				return err
			}
			if format.String() != ui.TableFormat {
				return ui.Encode(c.OutOrStdout(), format.String(), d)
			}
			d.print(ui.NewScreen(c.OutOrStdout(), os.Getenv))
			return nil
		},
	}
	c.Flags().VarP(format, "output", "o", "format of the report")
	return c
}

// displayDepth is how deep a token may nest to be shown: deeper than any that is
// accepted, because what is refused is looked at here too.
const displayDepth = 64

// decodeToken takes a token apart. What the strict parser refuses is shown all
// the same, with the reason, because that is when people look.
func decodeToken(token string, now time.Time) (*decodedToken, error) {
	d := &decodedToken{}
	c, err := jose.Parse(token, jose.Limits{})
	if err == nil {
		d.Header, d.Claims = c.Header(), c.UnverifiedClaims()
	} else {
		d.Refused = err.Error()
		parts := strings.Split(token, ".")
		if len(parts) == 1 {
			return decodeAssertion(token, now)
		}
		if len(parts) != 3 {
			return nil, usage("this is no JWT: %w", err)
		}
		if d.Header, err = looseObject(parts[0]); err != nil {
			return nil, usage("the header is not JSON in base64url: %w", err)
		}
		if d.Claims, err = looseObject(parts[1]); err != nil {
			return nil, usage("the claims are not JSON in base64url: %w", err)
		}
	}
	d.Times = decodedTimes(d.Claims, now)
	d.Actors = decodedActors(d.Claims)
	return d, nil
}

func looseObject(segment string) (map[string]any, error) {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(segment, "="))
	if err != nil {
		return nil, err
	}
	return jose.DecodeStrict(b, displayDepth)
}

func decodedTimes(claims map[string]any, now time.Time) []decodedTime {
	var out []decodedTime
	for _, name := range [...]string{"auth_time", "iat", "nbf", "exp"} {
		at, ok := jose.NumericDate(claims[name])
		if !ok {
			continue
		}
		out = append(out, decodedTime{Claim: name, Time: at.UTC(), Relative: relative(at.Sub(now))})
	}
	return out
}

// relative says how far away a moment is.
func relative(d time.Duration) string {
	short := func(d time.Duration) string {
		switch {
		case d >= 48*time.Hour:
			return fmt.Sprintf("%d days", int(d.Hours())/24)
		case d >= time.Hour:
			return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
		}
		return d.Truncate(time.Second).String()
	}
	switch {
	case d <= -time.Second:
		return short(-d) + " ago"
	case d >= time.Second:
		return "in " + short(d)
	}
	return "now"
}

// decodedActors walks act from the one that acts now to the first.
func decodedActors(claims map[string]any) []decodedActor {
	var out []decodedActor
	for range displayDepth {
		act, ok := claims["act"].(map[string]any)
		if !ok {
			break
		}
		a := decodedActor{}
		for _, k := range sortedKeys(act) {
			text, isText := act[k].(string)
			switch {
			case k == "act":
			case k == "iss" && isText:
				a.Issuer = text
			case k == "sub" && isText:
				a.Subject = text
			case k == "client_id" && isText:
				a.Client = text
			default:
				if a.Other == nil {
					a.Other = map[string]any{}
				}
				a.Other[k] = act[k]
			}
		}
		out, claims = append(out, a), act
	}
	return out
}

// registeredFirst is the order in which people look for claims.
var registeredFirst = []string{
	"iss", "sub", "aud", "client_id", "azp", "scope", "scp", "iat", "nbf", "exp", "auth_time", "jti", "txn",
	"acr", "amr", "act", "may_act", "impersonator", "cnf",
}

func (d *decodedToken) print(s *ui.Screen) {
	s.Line(s.Paint(ui.Warn, "! signature NOT verified"), ui.Safe(": anybody can write this; `exchequer token verify` verifies"))
	if d.Refused != "" {
		s.Line(s.Paint(ui.Bad, "! would be refused as it is"), ui.Safe(": "+d.Refused))
	}
	s.Line()
	s.Line(s.Paint(ui.Strong, "header"))
	s.Table(d.members(d.Header, nil))
	s.Line()
	s.Line(s.Paint(ui.Strong, "claims"))
	s.Table(d.members(d.Claims, d.Times))
	if len(d.Actors) > 0 {
		s.Line()
		s.Tree(d.chain())
	}
}

func (d *decodedToken) members(m map[string]any, times []decodedTime) *ui.Table {
	t := &ui.Table{Indent: "  "}
	names := sortedKeys(m)
	slices.SortStableFunc(names, func(a, b string) int { return place(a) - place(b) })
	for _, k := range names {
		text := compactJSON(m[k])
		if v, ok := m[k].(string); ok {
			text = v
		}
		if k == "xqr" {
			text = "(sealed: facts of the first verification, which this service alone can read)"
		}
		for _, at := range times {
			if at.Claim == k {
				text += "  " + at.Time.Format(time.RFC3339) + " (" + at.Relative + ")"
			}
		}
		t.Row(ui.Cell{Text: k, Style: ui.Dim}, ui.Text(text))
	}
	return t
}

func place(claim string) int {
	if i := slices.Index(registeredFirst, claim); i >= 0 {
		return i
	}
	return len(registeredFirst)
}

// chain shows who acts for whom: the subject, the one that acts for it now, and
// those that did before.
func (d *decodedToken) chain() *ui.Node {
	sub, _ := d.Claims["sub"].(string)
	root := &ui.Node{Label: []ui.Cell{{Text: sub, Style: ui.Strong}, {Text: "is who it is about", Style: ui.Dim}}}
	at := root
	for i, a := range d.Actors {
		role := "acted before"
		if i == 0 {
			role = "acts now"
		}
		label := []ui.Cell{ui.Text(a.Subject), {Text: role, Style: ui.Dim}}
		if a.Issuer != "" {
			label = append(label, ui.Text("iss="+a.Issuer))
		}
		if a.Client != "" {
			label = append(label, ui.Text("client_id="+a.Client))
		}
		if len(a.Other) > 0 {
			label = append(label, ui.Text(compactJSON(a.Other)))
		}
		at = at.Add(label...)
	}
	return root
}
