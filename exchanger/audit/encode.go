// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/hex"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// maxValue bounds one value in a record. The longest value that a granted
// request can have is a resource of 2048 bytes; what is longer was refused, and
// its beginning tells enough. 16 targets and 64 scopes of that length stay below
// the form's own 64 KiB.
const maxValue = 2 << 10

// AppendJSON appends the record as one line of JSON, without the line's end. All
// keys of the contract are always there, in its order; check, detail and trace
// follow where something was refused.
func (r *Record) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"time":"`...)
	dst = r.Time.UTC().AppendFormat(dst, time.RFC3339Nano)
	dst = appendMember(append(dst, '"'), `,"correlationID":`, r.CorrelationID)
	dst = appendMember(dst, `,"outcome":`, r.Outcome.String())
	dst = appendMember(dst, `,"reason":`, string(r.Reason))
	dst = appendMember(dst, `,"tokenService":`, r.TokenService)
	dst = appendMember(dst, `,"client":`, r.Client)
	dst = appendIdentity(append(dst, `,"subject":`...), r.Subject)
	dst = appendIdentity(append(dst, `,"actor":`...), r.Actor)
	dst = appendImpersonator(append(dst, `,"impersonator":`...), r.Impersonator)
	dst = appendTargets(append(dst, `,"targets":[`...), r.Targets)
	dst = appendMember(append(dst, ']'), `,"grant":`, r.Grant)
	dst = append(dst, `,"audience":[`...)
	dst = appendList(dst, r.Audiences)
	if len(r.Audiences) > 0 && len(r.Resources) > 0 {
		dst = append(dst, ',')
	}
	dst = appendList(dst, r.Resources)
	dst = appendList(append(dst, `],"scopeAsked":[`...), r.ScopeAsked)
	dst = appendList(append(dst, `],"scopeGranted":[`...), r.ScopeGranted)
	dst = appendMember(append(dst, ']'), `,"tokenType":`, string(r.TokenType))
	dst = strconv.AppendUint(append(dst, `,"revision":`...), r.Revision, 10)
	dst = appendMember(dst, `,"kid":`, r.KeyID)
	dst = appendMember(dst, `,"jti":`, r.TokenID)
	dst = appendMember(dst, `,"txn":`, r.Transaction)
	dst = append(dst, `,"tokensIn":[`...)
	for i := range r.TokensIn {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = hex.AppendEncode(append(dst, '"'), r.TokensIn[i][:])
		dst = append(dst, '"')
	}
	dst = strconv.AppendInt(append(dst, `],"durationMicros":`...), r.Duration.Microseconds(), 10)
	if r.RequestedSubject != "" {
		dst = appendMember(dst, `,"requestedSubject":`, r.RequestedSubject)
	}
	if r.StatedReason != "" {
		dst = appendMember(dst, `,"statedReason":`, r.StatedReason)
	}
	dst = appendProof(dst, r.Proof)
	if r.Outcome != policy.Allowed {
		dst = r.appendRefusal(dst)
	}
	return append(dst, '}')
}

func (r *Record) appendRefusal(dst []byte) []byte {
	dst = appendMember(dst, `,"check":`, r.Check)
	dst = appendMember(dst, `,"detail":`, r.Detail)
	dst = append(dst, `,"trace":[`...)
	for i := range r.Trace {
		t := &r.Trace[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendMember(dst, `{"target":`, t.Target)
		if t.Chosen != "" {
			dst = appendMember(dst, `,"chosen":`, t.Chosen)
		}
		dst = append(dst, `,"policies":[`...)
		for j := range t.Policies {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = appendPolicy(dst, &t.Policies[j])
		}
		dst = append(dst, ']')
		if t.Omitted > 0 {
			dst = strconv.AppendInt(append(dst, `,"omitted":`...), int64(t.Omitted), 10)
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func appendPolicy(dst []byte, p *policy.PolicyTrace) []byte {
	dst = appendMember(dst, `{"policy":`, p.Policy)
	if p.Audit {
		dst = append(dst, `,"audit":true`...)
	}
	dst = appendMember(dst, `,"outcome":`, p.Outcome)
	if p.Reason != "" {
		dst = appendMember(dst, `,"reason":`, string(p.Reason))
		dst = appendMember(dst, `,"check":`, p.Check)
		dst = appendMember(dst, `,"detail":`, p.Detail)
	}
	return append(dst, '}')
}

// appendProof writes the keys by the names that cnf has for them; received is that of
// the subject_token_proof, handover the one that a hand-over token is bound to.
func appendProof(dst []byte, p policy.Proof) []byte {
	if p == (policy.Proof{}) {
		return dst
	}
	dst = append(dst, `,"proof":`...)
	next := byte('{')
	for _, m := range [...]struct{ key, value string }{
		{`"jkt":`, p.JKT}, {`"x5t#S256":`, p.X5T}, {`"received":`, p.SubjectJKT}, {`"handover":`, p.HandoverJKT},
	} {
		if m.value != "" {
			dst = appendMember(append(dst, next), m.key, m.value)
			next = ','
		}
	}
	return append(dst, '}')
}

func appendIdentity(dst []byte, id Identity) []byte {
	if id == (Identity{}) {
		return append(dst, "null"...)
	}
	dst = appendMember(dst, `{"issuer":`, id.Issuer)
	return append(appendMember(dst, `,"sub":`, id.Subject), '}')
}

func appendImpersonator(dst []byte, im *Impersonator) []byte {
	if im == nil {
		return append(dst, "null"...)
	}
	dst = appendMember(dst, `{"iss":`, im.Issuer)
	dst = appendMember(dst, `,"sub":`, im.Subject)
	dst = appendMember(dst, `,"client_id":`, im.ClientID)
	return append(appendMember(dst, `,"grant":`, im.Grant), '}')
}

func appendTargets(dst []byte, targets []policy.TargetPolicy) []byte {
	for i, t := range targets {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendMember(dst, `{"target":`, t.Target)
		dst = append(appendMember(dst, `,"policy":`, t.Policy), '}')
	}
	return dst
}

func appendList(dst []byte, list []string) []byte {
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, s)
	}
	return dst
}

// appendMember appends a key, which brings its own punctuation, and a string.
func appendMember(dst []byte, key, value string) []byte {
	return appendString(append(dst, key...), value)
}

// appendString appends s as a JSON string that is harmless wherever a line of a
// log ends up: in another line's parser, in a terminal, in a browser.
func appendString(dst []byte, s string) []byte {
	cut := 0
	if len(s) > maxValue {
		cut = len(s) - maxValue
		s = s[:maxValue]
	}
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if ' ' <= c && c <= '~' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		size := 1
		if c < utf8.RuneSelf {
			dst = appendEscape(dst, rune(c))
		} else {
			var ch rune
			ch, size = utf8.DecodeRuneInString(s[i:])
			switch {
			case ch == utf8.RuneError && size == 1:
				dst = append(dst, `\ufffd`...)
			case unicode.IsPrint(ch):
				dst = append(dst, s[i:i+size]...)
			default:
				// C1 controls (some terminals obey them), line separators, direction
				// overrides, invisible characters.
				dst = appendEscape(dst, ch)
			}
		}
		i += size
		start = i
	}
	dst = append(dst, s[start:]...)
	if cut > 0 {
		dst = strconv.AppendInt(append(dst, `…+`...), int64(cut), 10)
	}
	return append(dst, '"')
}

func appendEscape(dst []byte, ch rune) []byte {
	switch {
	case ch == '"' || ch == '\\':
		return append(dst, '\\', byte(ch))
	case ch > 0xffff:
		hi, lo := 0xd800+(ch-0x10000)>>10, 0xdc00+(ch-0x10000)&0x3ff
		return appendUnit(appendUnit(dst, hi), lo)
	}
	return appendUnit(dst, ch)
}

func appendUnit(dst []byte, u rune) []byte {
	const digits = "0123456789abcdef"
	return append(dst, '\\', 'u', digits[u>>12&15], digits[u>>8&15], digits[u>>4&15], digits[u&15])
}
