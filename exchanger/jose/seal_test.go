// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"
	"pgregory.net/rapid"
)

func sealKey(t testing.TB, kid string) (*SealKey, *SealKeys) {
	t.Helper()
	key, err := GenerateSealKey(kid)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := NewSealKeys(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, keys
}

func TestSealedClaimsOpenHereAndWithGoJose(t *testing.T) {
	t.Parallel()
	key, keys := sealKey(t, "kid-1")
	theirs, err := gojose.NewEncrypter(gojose.A256GCM, gojose.Recipient{Algorithm: gojose.DIRECT, Key: key.Bytes(), KeyID: "kid-1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		plaintext := rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "plaintext")
		sealed, err := key.Seal(plaintext)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := keys.Open(sealed); err != nil || string(got) != string(plaintext) {
			t.Fatalf("we open our own as %q: %v", got, err)
		}
		jwe, err := gojose.ParseEncryptedCompact(sealed, []gojose.KeyAlgorithm{gojose.DIRECT}, []gojose.ContentEncryption{gojose.A256GCM})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := jwe.Decrypt(key.Bytes()); err != nil || string(got) != string(plaintext) || jwe.Header.KeyID != "kid-1" {
			t.Fatalf("go-jose opens ours as %q: %v", got, err)
		}
		back, err := theirs.Encrypt(plaintext)
		if err != nil {
			t.Fatal(err)
		}
		compact, err := back.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := keys.Open(compact); err != nil || string(got) != string(plaintext) {
			t.Fatalf("we open go-jose's as %q: %v", got, err)
		}
		// One bit anywhere.
		flipped := []byte(sealed)
		i := rapid.IntRange(0, len(flipped)-1).Draw(t, "byte")
		flipped[i] ^= 1 << rapid.IntRange(0, 6).Draw(t, "bit")
		if _, err := keys.Open(string(flipped)); err == nil {
			t.Fatalf("a flipped bit in byte %d does not matter", i)
		}
	})
}

func TestSealedClaimsThatDoNotOpen(t *testing.T) {
	t.Parallel()
	key, keys := sealKey(t, "kid-1")
	_, others := sealKey(t, "kid-1")
	_, renamed := sealKey(t, "kid-2")
	good, err := key.Seal([]byte("facts"))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	with := func(i int, part string) string {
		p := append([]string(nil), parts...)
		p[i] = part
		return strings.Join(p, ".")
	}
	// reframed cuts the same bytes elsewhere: the cipher alone would not notice.
	reframed := func(nonceBytes, tagBytes int) string {
		var all []byte
		for _, part := range parts[2:] {
			b, err := base64.RawURLEncoding.DecodeString(part)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b...)
		}
		enc := base64.RawURLEncoding.EncodeToString
		cut := len(all) - tagBytes
		return parts[0] + ".." + enc(all[:nonceBytes]) + "." + enc(all[nonceBytes:cut]) + "." + enc(all[cut:])
	}
	if reframed(12, 16) != good {
		t.Fatal("the same framing gives another token")
	}
	// theirs is sealed by go-jose in a form that we do not write.
	theirs := func(alg gojose.KeyAlgorithm, enc gojose.ContentEncryption, secret []byte, o *gojose.EncrypterOptions) string {
		e, err := gojose.NewEncrypter(enc, gojose.Recipient{Algorithm: alg, Key: secret, KeyID: "kid-1"}, o)
		if err != nil {
			t.Fatal(err)
		}
		jwe, err := e.Encrypt([]byte("facts"))
		if err != nil {
			t.Fatal(err)
		}
		compact, err := jwe.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return compact
	}
	for name, tc := range map[string]struct {
		keys   *SealKeys
		sealed string
		want   Code
	}{
		"another key under the same kid":      {others, good, Unsealable},
		"another kid":                         {renamed, good, Unsealable},
		"no keys":                             {nil, good, Unsealable},
		"the zero value":                      {&SealKeys{}, good, Unsealable},
		"nothing":                             {keys, "", Unsealable},
		"four segments":                       {keys, strings.Join(parts[:4], "."), Unsealable},
		"six segments":                        {keys, good + ".AAAA", Unsealable},
		"an encrypted key":                    {keys, with(1, "AAAA"), Unsealable},
		"no nonce":                            {keys, with(2, ""), Unsealable},
		"a nonce of 16 bytes":                 {keys, with(2, base64.RawURLEncoding.EncodeToString(make([]byte, 16))), Unsealable},
		"no tag":                              {keys, with(4, ""), Unsealable},
		"a tag of 12 bytes":                   {keys, with(4, base64.RawURLEncoding.EncodeToString(make([]byte, 12))), Unsealable},
		"a tag of 15 bytes":                   {keys, with(4, base64.RawURLEncoding.EncodeToString(make([]byte, 15))), Unsealable},
		"a byte of ciphertext in the nonce":   {keys, reframed(13, 16), Unsealable},
		"a byte of ciphertext in the tag":     {keys, reframed(12, 17), Unsealable},
		"a byte of the tag in the ciphertext": {keys, reframed(12, 15), Unsealable},
		"padding":                             {keys, with(2, parts[2]+"=="), Unsealable},
		"a line break":                        {keys, with(3, parts[3]+"\n"), Unsealable},
		"a header with a space":               {keys, with(0, b64(`{"alg":"dir", "enc":"A256GCM","kid":"kid-1"}`)), Unsealable},
		"alg none":                            {keys, with(0, b64(`{"alg":"none","enc":"A256GCM","kid":"kid-1"}`)), Unsealable},
		"F104: compressed":                    {keys, theirs(gojose.DIRECT, gojose.A256GCM, key.Bytes(), &gojose.EncrypterOptions{Compression: gojose.DEFLATE}), Unsealable},
		"F105: a key wrapped with our key":    {keys, theirs(gojose.A256KW, gojose.A256GCM, key.Bytes(), nil), Unsealable},
		"F105: CBC":                           {keys, theirs(gojose.DIRECT, gojose.A128CBC_HS256, key.Bytes(), nil), Unsealable},
		"F103: PBES2":                         {keys, theirs(gojose.PBES2_HS256_A128KW, gojose.A256GCM, key.Bytes(), nil), Unsealable},
		"16 KiB and a byte":                   {keys, good + strings.Repeat("A", MaxSealedBytes+1-len(good)), TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plaintext, err := tc.keys.Open(tc.sealed)
			wantCode(t, err, tc.want)
			if plaintext != nil {
				t.Error("a refusal brought a plaintext")
			}
		})
	}
}

func TestSealingKeys(t *testing.T) {
	t.Parallel()
	key, _ := sealKey(t, "k")
	t.Run("the largest claim that fits is sealed and opened, one byte more is refused", func(t *testing.T) {
		t.Parallel()
		k, keys := sealKey(t, "k")
		n := MaxSealedBytes
		for ; n > 0; n-- {
			if sealed, err := k.Seal(make([]byte, n)); err == nil {
				if got, err := keys.Open(sealed); err != nil || len(got) != n || len(sealed) > MaxSealedBytes {
					t.Fatal(len(got), err)
				}
				break
			} else if codeOf(err) != TooLarge {
				t.Fatal(err)
			}
		}
		if n < 12_000 {
			t.Errorf("only %d bytes fit", n)
		}
	})
	t.Run("a kept key opens what it sealed before", func(t *testing.T) {
		t.Parallel()
		sealed, err := key.Seal([]byte("facts"))
		if err != nil {
			t.Fatal(err)
		}
		again, err := NewSealKey(key.KeyID(), key.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		other, _ := sealKey(t, "other")
		keys, err := NewSealKeys(other, again)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := keys.Open(sealed); err != nil || string(got) != "facts" {
			t.Errorf("%q %v", got, err)
		}
	})
	t.Run("two sealings of one claim differ", func(t *testing.T) {
		t.Parallel()
		a, errA := key.Seal([]byte("facts"))
		b, errB := key.Seal([]byte("facts"))
		if errA != nil || errB != nil || a == b {
			t.Error("the nonce was used twice", errA, errB)
		}
	})
	t.Run("keys that are none", func(t *testing.T) {
		t.Parallel()
		_, err := NewSealKey("k", make([]byte, 16))
		wantCode(t, err, BadKey)
		_, err = NewSealKey("", make([]byte, 32))
		wantCode(t, err, BadKeyID)
		_, err = NewSealKey(strings.Repeat("k", 257), make([]byte, 32))
		wantCode(t, err, BadKeyID)
		_, err = NewSealKeys(key, key)
		wantCode(t, err, BadKeySet)
	})
	t.Run("the key's bytes are a copy", func(t *testing.T) {
		t.Parallel()
		raw := make([]byte, SealKeyBytes)
		k, err := NewSealKey("k", raw)
		if err != nil {
			t.Fatal(err)
		}
		raw[0], k.Bytes()[1] = 1, 1
		if b := k.Bytes(); b[0] != 0 || b[1] != 0 {
			t.Error("the key can be changed from outside")
		}
	})
	t.Run("a kid that JSON must escape still opens", func(t *testing.T) {
		t.Parallel()
		k, keys := sealKey(t, `"<\u0000é`)
		sealed, err := k.Seal([]byte("facts"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := keys.Open(sealed); err != nil {
			t.Error(err)
		}
		raw, err := base64.RawURLEncoding.DecodeString(sealed[:strings.IndexByte(sealed, '.')])
		if err != nil || !json.Valid(raw) {
			t.Errorf("the header is not JSON: %v", err)
		}
	})
}
