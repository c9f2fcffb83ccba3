// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "fmt"

func (c *compilation) issuers(spec *Spec) error {
	for i := range spec.Issuers {
		s := &spec.Issuers[i]
		svc, err := c.service(s.TokenService, "issuer", s.Name)
		if err != nil {
			return err
		}
		if _, dup := svc.issuers[s.Name]; dup {
			return fmt.Errorf("issuer %s: twice", s.Name)
		}
		ti, err := c.issuer(s)
		if err != nil {
			return fmt.Errorf("issuer %s: %w", s.Name, err)
		}
		svc.issuers[s.Name] = ti
		svc.identities.trust(ti)
		if s.Kind == IssuerSAML {
			if err := svc.addEntity(ti); err != nil {
				return err
			}
			continue
		}
		if s.TokenTypeURI == "" {
			svc.byURL[s.URL] = append(svc.byURL[s.URL], ti)
			continue
		}
		// No token that says an iss is theirs, whatever it says.
		if _, dup := svc.byTokenType[s.TokenTypeURI]; dup {
			return fmt.Errorf("issuer %s: its tokenTypeURI is another one's too", s.Name)
		}
		if svc.byTokenType == nil {
			svc.byTokenType = map[string]*TrustedIssuer{}
		}
		svc.byTokenType[s.TokenTypeURI] = ti
	}
	return nil
}

func (c *compilation) issuer(s *Issuer) (*TrustedIssuer, error) {
	ti := &TrustedIssuer{
		spec:       s,
		digest:     s.digest(),
		keysDigest: s.KeysDigest(),
		scopeMap:   make(map[string]string, len(s.Mappings.ScopeMap)),
		aliases:    make(map[string]string, len(s.ClientAliases)),
	}
	for _, m := range s.Mappings.ScopeMap {
		ti.scopeMap[m.From] = m.To
	}
	for _, a := range s.ClientAliases {
		ti.aliases[a.ID] = a.Client
	}
	var err error
	if ti.classifyAccess, err = c.program(EnvClaims, WantBool, s.ClassifyAccess); err != nil {
		return nil, err
	}
	if ti.classifyID, err = c.program(EnvClaims, WantBool, s.ClassifyID); err != nil {
		return nil, err
	}
	for _, r := range s.ClaimRules {
		p, err := c.program(EnvClaims, WantBool, r.Expression)
		if err != nil {
			return nil, err
		}
		if p == nil && r.Claim == "" {
			return nil, fmt.Errorf("a claim rule without expression and claim")
		}
		ti.claimRules = append(ti.claimRules, compiledClaimRule{
			compiledRule: compiledRule{program: p, message: r.Message, text: r.Expression}, claim: r.Claim, required: r.Required,
		})
	}
	if ti.userRules, err = c.rules(EnvUser, s.UserRules); err != nil {
		return nil, err
	}
	return ti, c.mappings(ti, &s.Mappings)
}

func (c *compilation) mappings(ti *TrustedIssuer, m *Mappings) error {
	for _, v := range []struct {
		to   *compiledValue
		from Value
	}{
		{&ti.subject, m.Subject},
		{&ti.username, m.Username},
		{&ti.groups, m.Groups},
		{&ti.scopes, m.Scopes},
		{&ti.acr, m.ACR},
		{&ti.amr, m.AMR},
		{&ti.authTime, m.AuthTime},
	} {
		var err error
		if *v.to, err = c.value(v.from); err != nil {
			return err
		}
	}
	for _, e := range m.Extra {
		v, err := c.value(e.Value)
		if err != nil {
			return err
		}
		ti.extra = append(ti.extra, compiledExtra{key: e.Key, compiledValue: v})
	}
	return nil
}

func (c *compilation) value(v Value) (compiledValue, error) {
	p, err := c.program(EnvClaims, WantAny, v.Expression)
	return compiledValue{claim: v.Claim, program: p}, err
}
