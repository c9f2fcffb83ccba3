// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"runtime/debug"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// rootsModule is where the CA roots come from.
const rootsModule = "golang.org/x/crypto/x509roots/fallback"

// bill is a list of what is in the image, in CycloneDX's form: every file with
// its hash, and for every program the toolchain and the modules that its own
// build information names. It has no time and no random number in it: equal
// images have equal bills.
func bill(tag string, content map[string][]byte) ([]byte, error) {
	b := billing{components: map[string]cdx.Component{}, dependsOn: map[string][]string{}}
	name, version, _ := cutLast(tag, ":")
	whole := cdx.Component{BOMRef: "image", Type: cdx.ComponentTypeContainer, Name: name, Version: version}
	for _, file := range slices.Sorted(maps.Keys(content)) {
		if err := b.file(file, content[file]); err != nil {
			return nil, err
		}
		b.dependsOn[whole.BOMRef] = append(b.dependsOn[whole.BOMRef], ref(file))
	}
	bom := cdx.NewBOM()
	bom.SpecVersion = cdx.SpecVersion1_6
	bom.JSONSchema = "http://cyclonedx.org/schema/bom-1.6.schema.json"
	bom.Metadata = &cdx.Metadata{Component: &whole}
	var components []cdx.Component
	var dependencies []cdx.Dependency
	for _, key := range slices.Sorted(maps.Keys(b.components)) {
		components = append(components, b.components[key])
	}
	for _, key := range slices.Sorted(maps.Keys(b.dependsOn)) {
		on := slices.Compact(slices.Sorted(slices.Values(b.dependsOn[key])))
		dependencies = append(dependencies, cdx.Dependency{Ref: key, Dependencies: &on})
	}
	bom.Components, bom.Dependencies = &components, &dependencies
	plain, err := encode(bom)
	if err != nil {
		return nil, err
	}
	// A bill is named by what it says: a UUID of version 8, RFC 9562.
	id := sha256.Sum256(plain)
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	bom.SerialNumber = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:16])
	return encode(bom)
}

func encode(bom *cdx.BOM) ([]byte, error) {
	var out bytes.Buffer
	err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).EncodeVersion(bom, bom.SpecVersion)
	return out.Bytes(), err
}

type billing struct {
	components map[string]cdx.Component
	dependsOn  map[string][]string
}

func ref(file string) string { return "file:/" + file }

func (b billing) file(file string, content []byte) error {
	sum := sha256.Sum256(content)
	c := cdx.Component{
		BOMRef: ref(file), Type: cdx.ComponentTypeFile, Name: "/" + file,
		Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}},
	}
	if file == roots {
		b.components[c.BOMRef] = c
		if own, ok := debug.ReadBuildInfo(); ok {
			for _, m := range own.Deps {
				if m.Path == rootsModule {
					b.dependsOn[c.BOMRef] = []string{b.module(m)}
				}
			}
		}
		return nil
	}
	c.Type = cdx.ComponentTypeApplication
	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("%s: what it was made of is not known: %w", path.Base(file), err)
	}
	c.Version = strings.TrimPrefix(info.Main.Version, "(devel)")
	b.components[c.BOMRef] = c
	b.dependsOn[c.BOMRef] = []string{b.module(&debug.Module{Path: "stdlib", Version: strings.TrimPrefix(info.GoVersion, "go")})}
	for _, m := range info.Deps {
		b.dependsOn[c.BOMRef] = append(b.dependsOn[c.BOMRef], b.module(m))
	}
	return nil
}

// module adds a module, once however many programs have it, and returns its
// reference: its package URL.
func (b billing) module(m *debug.Module) string {
	for m.Replace != nil {
		m = m.Replace
	}
	purl := "pkg:golang/" + m.Path + "@" + m.Version
	c := cdx.Component{BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, PackageURL: purl}
	if m.Sum != "" {
		c.Properties = &[]cdx.Property{{Name: "go:sum", Value: m.Sum}} // as in go.sum: a hash of the module's tree, not of one file
	}
	b.components[purl] = c
	return purl
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
