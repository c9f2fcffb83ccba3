// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// The bounds of a document. The largest assertions met in practice have 200
// groups, two namespace declarations on each, and nest ten levels.
const (
	// DefaultBytes bounds a document: with 2,000 values of 100 bytes, and their
	// tags, it is full.
	DefaultBytes = 256 << 10
	maxDepth     = 32
	// maxElements at 40 bytes each, the shortest that a value with its tags is,
	// are 160 KiB.
	maxElements   = 4096
	maxAttributes = 32
	// maxPrefixes bounds what canonicalisation copies for each element: 16 names
	// times maxElements is 65,536 entries.
	maxPrefixes = 16
	maxName     = 128
)

// declaration is the only thing between "<?" and "?>" that is read: XML 1.0 in
// UTF-8, which is also what no declaration means.
var declaration = regexp.MustCompile(`^<\?xml version=(?:"1\.0"|'1\.0')(?: encoding=(?:"[Uu][Tt][Ff]-8"|'[Uu][Tt][Ff]-8'))?(?: standalone=(?:"(?:yes|no)"|'(?:yes|no)'))? ?\?>`) //nolint:gochecknoglobals // compiled once

// gate reads a document before any parser does, and refuses what two parsers
// could read differently, or what one would have to be asked not to obey:
// document types, entities, processing instructions, comments, CDATA, prefixes
// that change their meaning, relative namespaces, attributes that come twice,
// names beyond ASCII, a second root. What passes has one reading.
type gate struct {
	in       []byte
	at       int
	open     []frame
	bound    map[string]string // prefix → namespace; a prefix has one for the whole document
	scope    map[string]int    // prefix → how many open elements declare it
	ids      map[string]bool
	elements int
}

// frame is an element that is open.
type frame struct {
	name string
	// unprefixed is the default namespace inside it.
	unprefixed string
	// declared are the prefixes that end with it.
	declared []string
}

type attribute struct{ prefix, local, value string }

func admit(document []byte, limit int) error {
	if len(document) > limit {
		return refuse(TooLarge, "the document is larger than its bound")
	}
	if !utf8.Valid(document) {
		return refuse(BadXML, "the document is not UTF-8")
	}
	g := &gate{in: document, bound: map[string]string{}, scope: map[string]int{}, ids: map[string]bool{}}
	g.at = len(declaration.Find(document))
	return g.document()
}

func (g *gate) document() error {
	for g.at < len(g.in) {
		var err error
		switch {
		case g.in[g.at] == '<':
			err = g.markup()
		case len(g.open) == 0:
			err = g.outside()
		default:
			err = g.text()
		}
		if err != nil {
			return err
		}
	}
	if len(g.open) > 0 || g.elements == 0 {
		return refuse(BadXML, "the document ends before its root element does")
	}
	return nil
}

func (g *gate) outside() error {
	if !isSpace(g.in[g.at]) {
		return refuse(BadXML, "text outside the root element")
	}
	g.at++
	return nil
}

// markup reads one tag. "<!" and "<?" are the doors of document types,
// entities, comments, CDATA and processing instructions, and stay shut.
func (g *gate) markup() error {
	if g.at+1 == len(g.in) {
		return refuse(BadXML, "a tag that does not end")
	}
	switch g.in[g.at+1] {
	case '!':
		return refuse(BadXML, "a document type, entity, comment or CDATA section; none is read")
	case '?':
		return refuse(BadXML, "a processing instruction, or an XML declaration other than version 1.0 in UTF-8")
	case '/':
		return g.endTag()
	}
	return g.startTag()
}

func (g *gate) endTag() error {
	g.at += len("</")
	prefix, local, err := g.name()
	if err != nil {
		return err
	}
	for g.at < len(g.in) && isSpace(g.in[g.at]) {
		g.at++
	}
	if !g.take(">") {
		return refuse(BadXML, "an end tag that does not end")
	}
	if len(g.open) == 0 || g.open[len(g.open)-1].name != prefix+":"+local {
		return refuse(BadXML, "an end tag without its start tag")
	}
	g.leave(g.open[len(g.open)-1])
	g.open = g.open[:len(g.open)-1]
	return nil
}

func (g *gate) startTag() error {
	if len(g.open) == 0 && g.elements > 0 {
		return refuse(BadXML, "a second root element")
	}
	if g.elements++; g.elements > maxElements || len(g.open) >= maxDepth {
		return refuse(TooLarge, "too many elements, or nested too deep")
	}
	g.at++
	prefix, local, err := g.name()
	if err != nil {
		return err
	}
	attributes, err := g.attributes()
	if err != nil {
		return err
	}
	f := frame{name: prefix + ":" + local}
	if len(g.open) > 0 {
		f.unprefixed = g.open[len(g.open)-1].unprefixed
	}
	if err := g.declare(attributes, &f); err != nil {
		return err
	}
	if err := g.judge(prefix, attributes, f.unprefixed); err != nil {
		return err
	}
	if g.take("/>") {
		g.leave(f)
		return nil
	}
	if !g.take(">") {
		return refuse(BadXML, "a tag that does not end")
	}
	g.open = append(g.open, f)
	return nil
}

func (g *gate) attributes() ([]attribute, error) {
	var all []attribute
	for {
		start := g.at
		for g.at < len(g.in) && isSpace(g.in[g.at]) {
			g.at++
		}
		if g.at == len(g.in) || g.in[g.at] == '>' || g.in[g.at] == '/' {
			return all, nil
		}
		if start == g.at {
			return nil, refuse(BadXML, "attributes without a space between them")
		}
		if len(all) == maxAttributes {
			return nil, refuse(TooLarge, "too many attributes")
		}
		a, err := g.attribute()
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
}

func (g *gate) attribute() (attribute, error) {
	prefix, local, err := g.name()
	if err != nil {
		return attribute{}, err
	}
	var quote byte
	switch {
	case g.take(`="`):
		quote = '"'
	case g.take(`='`):
		quote = '\''
	default:
		return attribute{}, refuse(BadXML, "an attribute without a quoted value")
	}
	end := bytes.IndexByte(g.in[g.at:], quote)
	if end < 0 {
		return attribute{}, refuse(BadXML, "an attribute's value that does not end")
	}
	raw := g.in[g.at : g.at+end]
	// Line ends and tabs in values: a parser shall turn them into spaces, some do not.
	if bytes.ContainsAny(raw, "<\t\n\r") {
		return attribute{}, refuse(BadXML, "a tag, tab or line end inside an attribute's value")
	}
	value, err := unescape(raw)
	if err != nil {
		return attribute{}, err
	}
	if strings.ContainsAny(value, "\t\n\r") {
		return attribute{}, refuse(BadXML, "a tab or line end inside an attribute's value")
	}
	g.at += end + 1
	return attribute{prefix, local, value}, nil
}

// leave ends what an element declared.
func (g *gate) leave(f frame) {
	for _, prefix := range f.declared {
		g.scope[prefix]--
	}
}

// declare takes in the namespace declarations of a tag.
func (g *gate) declare(attributes []attribute, f *frame) error {
	for _, a := range attributes {
		isDefault := a.prefix == "" && a.local == "xmlns"
		if !isDefault && a.prefix != "xmlns" {
			continue
		}
		if !absolute(a.value) || slices.Contains(reserved(), a.value) {
			return refuse(BadXML, "a namespace that is empty, relative, reserved or of inclusions")
		}
		if isDefault {
			f.unprefixed = a.value
			continue
		}
		if len(a.local) >= 3 && strings.EqualFold(a.local[:3], "xml") {
			return refuse(BadXML, "a reserved prefix is declared")
		}
		if before, known := g.bound[a.local]; known && before != a.value {
			return refuse(BadXML, "a prefix that stands for two namespaces")
		}
		g.bound[a.local] = a.value
		g.scope[a.local]++
		f.declared = append(f.declared, a.local)
		if len(g.bound) > maxPrefixes {
			return refuse(TooLarge, "too many prefixes")
		}
	}
	return nil
}

// reserved are namespaces that belong to XML, or make a processor fetch things.
func reserved() []string {
	return []string{"http://www.w3.org/XML/1998/namespace", "http://www.w3.org/2000/xmlns/", "http://www.w3.org/2001/XInclude", "http://www.w3.org/2003/XInclude"}
}

// judge looks at a tag whose namespaces are known.
func (g *gate) judge(prefix string, attributes []attribute, unprefixed string) error {
	if prefix == "" && unprefixed == "" {
		return refuse(BadXML, "an element without a namespace")
	}
	if prefix != "" && g.scope[prefix] == 0 {
		return refuse(BadXML, "a prefix that is not declared")
	}
	seen := map[[2]string]bool{}
	for _, a := range attributes {
		name := [2]string{a.prefix, a.local}
		if a.prefix != "" && a.prefix != "xmlns" && a.prefix != "xml" {
			if g.scope[a.prefix] == 0 {
				return refuse(BadXML, "a prefix that is not declared")
			}
			name[0] = "{" + g.bound[a.prefix] + "}"
		}
		if seen[name] {
			return refuse(BadXML, "an attribute that comes twice")
		}
		seen[name] = true
		if a.prefix == "xml" && a.local != "lang" && a.local != "space" {
			return refuse(BadXML, "an attribute of XML other than xml:lang and xml:space")
		}
		if strings.EqualFold(a.local, "id") {
			if a.prefix != "" || g.ids[a.value] {
				return refuse(BadXML, "an ID that has a prefix or comes twice")
			}
			g.ids[a.value] = true
		}
	}
	return nil
}

func (g *gate) text() error {
	end := bytes.IndexByte(g.in[g.at:], '<')
	if end < 0 {
		end = len(g.in) - g.at
	}
	raw := g.in[g.at : g.at+end]
	if bytes.Contains(raw, []byte("]]>")) {
		return refuse(BadXML, "the end of a CDATA section in text")
	}
	if _, err := unescape(raw); err != nil {
		return err
	}
	g.at += end
	return nil
}

// name reads a name of ASCII letters, with one prefix or none. XML allows many
// letters more; SAML uses none of them.
func (g *gate) name() (prefix, local string, err error) {
	start := g.at
	for g.at < len(g.in) && isNameByte(g.in[g.at]) {
		g.at++
	}
	full := string(g.in[start:g.at])
	prefix, local, ok := strings.Cut(full, ":")
	if !ok {
		prefix, local = "", full
	}
	if len(full) > maxName || !isNCName(local) || ok && !isNCName(prefix) {
		return "", "", refuse(BadXML, "a name that is empty, too long, or not ASCII letters with at most one prefix")
	}
	return prefix, local, nil
}

func (g *gate) take(s string) bool {
	if !bytes.HasPrefix(g.in[g.at:], []byte(s)) {
		return false
	}
	g.at += len(s)
	return true
}
