// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package telemetry

import "time"

// SnapshotAge says how long ago the snapshot was confirmed with its source.
func (m *Metrics) SnapshotAge(age time.Duration) { m.age.Set(age.Seconds()) }

// HeartbeatAge says how long ago the controller last found the published policy to
// be what it should be.
func (m *Metrics) HeartbeatAge(age time.Duration) { m.heartbeat.Set(age.Seconds()) }

// ClockGood says whether this replica's clock can be believed.
func (m *Metrics) ClockGood(good bool) {
	m.clock.Set(0)
	if good {
		m.clock.Set(1)
	}
}

// PublishBlocked says for how long what people declared has not been in force as
// a whole; 0 is not at all.
func (m *Metrics) PublishBlocked(d time.Duration) { m.blocked.Set(d.Seconds()) }

// Shed counts a request that was refused unseen.
func (m *Metrics) Shed() { m.shed.Inc() }

// Panicked counts a panic that was turned into a 500.
func (m *Metrics) Panicked() { m.panics.Inc() }

// CertificateFailed counts a serving certificate that could not be loaded.
func (m *Metrics) CertificateFailed() { m.certificateErrors.Inc() }

// IssuerFetch counts one fetch of an issuer's keys; result is one of a closed
// set of words. An issuer that the snapshot does not know is not counted.
func (m *Metrics) IssuerFetch(issuer, result string) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.issuers[issuer] {
		m.fetches.WithLabelValues(issuer, result).Inc()
	}
}

// IssuerKeysAge says how long ago an issuer's keys were fetched.
func (m *Metrics) IssuerKeysAge(issuer string, age time.Duration) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.issuers[issuer] {
		m.keysAge.WithLabelValues(issuer).Set(age.Seconds())
	}
}

// SigningKey is one signing key for exchequer_signing_key_info.
type SigningKey struct{ TokenService, KeyID, Algorithm, State string }

// SigningKeys says which signing keys there are; those not named are gone.
func (m *Metrics) SigningKeys(keys []SigningKey) {
	m.signingKeys.Reset()
	for _, k := range keys {
		m.signingKeys.WithLabelValues(k.TokenService, k.KeyID, k.Algorithm, k.State).Set(1)
	}
}
