// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
)

// PersonalKeys lists the keys of a record that tell of a person, as a fresh slice.
// All other keys tell of workloads, of the request or of the decision.
func PersonalKeys() []string {
	return []string{
		"subject.sub", "actor.sub", "impersonator.sub", "requestedSubject", "statedReason",
		"proof.jkt", "proof.x5t#S256", "proof.received", "proof.handover",
	}
}

// leastKey is what a redaction key must have at least: as much as the MAC is worth.
const leastKey = 32

// Redactor replaces personal data by pseudonyms: the same person has the same one
// under the same key, and without the key nobody can try out who it is.
type Redactor struct{ key []byte }

// NewRedactor returns a Redactor with a key of at least 32 bytes; with nil, one whose
// pseudonyms die with it.
func NewRedactor(key []byte) (*Redactor, error) {
	if key == nil {
		return &Redactor{key: []byte(rand.Text() + rand.Text())}, nil
	}
	if len(key) < leastKey {
		return nil, errors.New("the key of pseudonyms is too short: expected at least 32 bytes")
	}
	return &Redactor{key: key}, nil
}

// Redact returns a copy of the record in which every value of [PersonalKeys] that is
// there is a pseudonym. Refusals tell of people nowhere else: their details quote
// policies and names of objects only.
func (d *Redactor) Redact(r *Record) *Record {
	c := *r
	c.Subject.Subject = d.pseudonym(c.Subject.Subject)
	c.Actor.Subject = d.pseudonym(c.Actor.Subject)
	c.RequestedSubject, c.StatedReason = d.pseudonym(c.RequestedSubject), d.pseudonym(c.StatedReason)
	for _, key := range [...]*string{&c.Proof.JKT, &c.Proof.X5T, &c.Proof.SubjectJKT, &c.Proof.HandoverJKT} {
		*key = d.pseudonym(*key)
	}
	if c.Impersonator != nil {
		im := *c.Impersonator
		im.Subject = d.pseudonym(im.Subject)
		c.Impersonator = &im
	}
	return &c
}

func (d *Redactor) pseudonym(value string) string {
	if value == "" {
		return ""
	}
	m := hmac.New(sha256.New, d.key)
	m.Write([]byte(value)) // a hash does not fail
	// 130 bits: nobody shares one by chance.
	return "~" + base32.StdEncoding.EncodeToString(m.Sum(nil))[:26]
}
