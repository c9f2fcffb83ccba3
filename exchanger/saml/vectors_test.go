// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !nosaml

package saml_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/saml"
)

func TestWhatXmlsecSignedIsVerified(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/xmlsec/*.xml")
	if err != nil || len(files) < 9 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run("F234: "+strings.TrimSuffix(filepath.Base(file), ".xml"), func(t *testing.T) {
			t.Parallel()
			document, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			family, _, _ := strings.Cut(filepath.Base(file), "-")
			pem, err := os.ReadFile(filepath.Join("testdata/xmlsec", family+".pem"))
			if err != nil {
				t.Fatal(err)
			}
			certificates, err := saml.ParseCertificates([]string{string(pem)})
			if err != nil {
				t.Fatal(err)
			}
			a, err := verify(string(document), certificates...)
			if err != nil {
				t.Fatal(err)
			}
			if a.NameID.Value != "alice" || a.Issuer != entityID || len(a.Attributes) != 1 || a.Attributes[0].Values[0] != "alice&bob@corp.example ü" {
				t.Errorf("%+v", a)
			}
			for _, edit := range [][2]string{{">alice<", ">bob<"}, {"sts.example.com<", "sts.example.org<"}, {"&amp;", "&#65;"}, {"mail", "mali"}} {
				changed := strings.Replace(string(document), edit[0], edit[1], 1)
				if changed == string(document) {
					t.Fatal("nothing was changed")
				}
				a, err := verify(changed, certificates...)
				refusedWith(t, a, err, saml.BadSignature)
			}
		})
	}
}
