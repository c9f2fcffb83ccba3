// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"strconv"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// AskLink is the endpoint at which a user's tokens of another provider are stored.
const AskLink Ask = "link"

const (
	maxProvider = 128
	// maxLinked bounds each token that is stored: as much as one that is presented.
	maxLinked = 16 << 10
	// maxLinkLife is the longest expires_in that is believed, a year: beyond it nobody
	// counts in seconds.
	maxLinkLife = 366 * 24 * 60 * 60
)

// Link is what a client wants stored for the user whose token it presents. Printing
// one prints no token.
type Link struct {
	// Provider is the name that ExternalTargets have for the provider.
	Provider string
	// Unlink wants what is stored removed; the rest is empty then.
	Unlink       bool
	AccessToken  string
	RefreshToken string
	Scope        string
	// ExpiresIn is in seconds; 0 is not known.
	ExpiresIn int64
}

// String keeps tokens out of whatever is printed.
func (Link) String() string { return "[redacted]" }

// GoString keeps tokens out of whatever is printed.
func (Link) GoString() string { return "[redacted]" }

// ParseLink reads the body of a link request: client credentials and the user's token
// as in an exchange, and the provider's answer at its token endpoint (RFC 6749 section
// 5.1), or unlink=true.
func ParseLink(body []byte) (*Params, *Link, *policy.Refusal) {
	var space [maxPairs]pair
	pairs, ref := split(body, space[:0])
	if ref != nil {
		return nil, nil, ref
	}
	p, r, l := &Params{Grant: policy.GrantTokenExchange}, raw{}, &Link{}
	var unlink, expires, tokenType string
	fields := map[string]*string{
		"client_id": &p.ClientID, "client_secret": &p.ClientSecret, "client_assertion_type": &p.ClientAssertionType, "client_assertion": &p.ClientAssertion,
		"subject_token": &p.SubjectToken, "subject_token_type": &r.subjectType,
		"provider": &l.Provider, "unlink": &unlink, "access_token": &l.AccessToken, "refresh_token": &l.RefreshToken,
		"token_type": &tokenType, "expires_in": &expires, "scope": &l.Scope,
	}
	seen := make(map[string]bool, len(pairs))
	for _, kv := range pairs {
		if seen[kv.name] {
			return nil, nil, invalid("a parameter is given twice")
		}
		seen[kv.name] = true
		if into := fields[kv.name]; into != nil {
			*into = kv.value
		}
	}
	if len(p.ClientID) > maxClientID {
		return nil, nil, refuse(policy.ClientUnknown, "client_id is longer than any client's")
	}
	if ref := p.exchanged(&r); ref != nil {
		return nil, nil, ref
	}
	if ref := l.read(unlink, expires, tokenType); ref != nil {
		return nil, nil, ref
	}
	p.TokenType = policy.TypeAccessToken
	return p, l, nil
}

func (l *Link) read(unlink, expires, tokenType string) *policy.Refusal {
	switch {
	case l.Provider == "" || len(l.Provider) > maxProvider || !isVisibleText(l.Provider):
		return invalid("provider is missing, or not printable ASCII of at most 128 bytes without spaces")
	case unlink == "true":
		l.Unlink = true
		if l.AccessToken != "" || l.RefreshToken != "" {
			return invalid("unlink=true stores nothing: send it without tokens")
		}
		return nil
	case unlink != "":
		return invalid("unlink must be true, or absent")
	case l.AccessToken == "":
		return invalid("access_token is missing")
	case len(l.AccessToken) > maxLinked || len(l.RefreshToken) > maxLinked:
		return invalid("a token is longer than 16 KiB")
	case !isVisibleText(l.AccessToken) || !isVisibleText(l.RefreshToken):
		return invalid("a token has characters that no token has")
	case tokenType != "" && !strings.EqualFold(tokenType, TokenTypeBearer):
		return invalid("token_type must be Bearer: a token that is bound to a key cannot be handed on")
	}
	if _, ref := ParseScope(l.Scope); ref != nil {
		return ref
	}
	if expires != "" {
		n, err := strconv.ParseInt(expires, 10, 64)
		if err != nil || n < 1 || n > maxLinkLife {
			return invalid("expires_in must be a number of seconds, from 1 to 31622400")
		}
		l.ExpiresIn = n
	}
	return nil
}

func isVisibleText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
