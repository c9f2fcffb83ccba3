// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"fmt"
	"strings"
	"testing"
)

// Behind the gate there are other checks, which would refuse most of this as well:
// each rule is held to its own words here.
func TestF234TheGateRefusesByItself(t *testing.T) {
	t.Parallel()
	in := func(content string) string { return `<a:r xmlns:a="urn:a">` + content + `</a:r>` }
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	const (
		declared = "a document type, entity, comment or CDATA"
		told     = "a processing instruction, or an XML declaration"
		space    = "a namespace that is empty, relative, reserved"
		prefix   = "a prefix that is not declared"
		twice    = "an attribute that comes twice"
		id       = "an ID that has a prefix or comes twice"
		line     = "a tag, tab or line end inside"
		entity   = "an entity other than"
		char     = "a character that XML does not allow"
		name     = "a name that is empty"
		large    = "too many"
	)
	for document, want := range map[string]string{
		in("x"):                                  "",
		`<?xml version="1.0"?>` + in("x") + "\n": "",
		"\n" + in("x"):                           "",
		in(`<a:x y="&lt;&gt;&amp;&quot;&apos;"/>`):                 "",
		in(`<x xmlns="urn:x"><y/></x>`):                            "",
		in(`<b:x xmlns:b="urn:b"/><b:y xmlns:b="urn:b" b:z="1"/>`): "",
		in(`<a:x xml:lang="de" xml:space="preserve"/>`):            "",
		in("\u00e9 \U0001F600 &#x1F600;"):                          "",

		`<!DOCTYPE r>` + in(""): declared, in("<!-- -->"): declared, in("<![CDATA[x]]>"): declared, in("<!ENTITY x 'y'>"): declared,
		"<!---->" + in(""): declared, in("") + "<!---->": declared,
		in("<?x?>"): told, in("") + "<?x?>": told, `<?xml version="1.1"?>` + in(""): told, `<?xml version="1.0" encoding="ISO-8859-1"?>` + in(""): told,
		` <?xml version="1.0"?>` + in(""): told,
		in("\xff"):                        "not UTF-8",
		"x" + in(""):                      "text outside the root", in("") + "x": "text outside the root", "\xEF\xBB\xBF" + in(""): "text outside the root",
		in("") + in(""): "a second root",
		"":              "ends before its root element does", "<a:r xmlns:a='urn:a'>": "ends before its root element does", " ": "ends before its root element does",
		"<": "a tag that does not end", `<a:r xmlns:a="urn:a"`: "a tag that does not end", `<a:r xmlns:a="urn:a"/ >`: "a tag that does not end",
		`<a:r xmlns:a="urn:a"></a:r`: "an end tag that does not end", `<a:r xmlns:a="urn:a"></a:R>`: "an end tag without its start tag",
		`</a:r>`: "an end tag without its start tag", in("</a:x>"): "an end tag without its start tag",
		in(strings.Repeat("<a:x>", 32)): "nested too deep", in(many(5000, "<a:x%d/>")): "too many elements",
		in("<a:x" + many(33, ` a%d="1"`) + "/>"): large + " attributes", in("<a:x" + many(20, ` xmlns:p%d="urn:x"`) + "/>"): large + " prefixes",
		in(`<a:x y=1/>`): "without a quoted value", in(`<a:x y/>`): "without a quoted value", in(`<a:x y = "1"/>`): "without a quoted value",
		in(`<a:x y="1/>`): "value that does not end", in(`<a:x y="1"z="2"/>`): "without a space between",
		in(`<a:x y="<"/>`): line, in("<a:x y=\"\n\"/>"): line, in("<a:x y=\"\t\"/>"): line, in("<a:x y=\"\r\"/>"): line,
		in(`<a:x y="&#10;"/>`): "a tab or line end inside", in(`<a:x y="&#x9;"/>`): "a tab or line end inside",
		in(`<a:x xmlns:b="b"/>`): space, in(`<a:x xmlns:b=""/>`): space, in(`<a:x xmlns=""/>`): space, in(`<a:x xmlns:b="../b"/>`): space, in(`<a:x xmlns:b="b:"/>`): space,
		in(`<a:x xmlns:b="http://www.w3.org/XML/1998/namespace"/>`): space, in(`<a:x xmlns:b="http://www.w3.org/2000/xmlns/"/>`): space,
		in(`<a:x xmlns:b="http://www.w3.org/2001/XInclude"/>`): space, in(`<a:x xmlns:b="http://x y"/>`): space,
		in(`<a:x xmlns:xml="urn:x"/>`): "a reserved prefix", in(`<a:x xmlns:XMLns="urn:x"/>`): "a reserved prefix",
		in(`<a:x xmlns:a="urn:b"/>`): "stands for two namespaces", in(`<a:x xmlns:b="urn:b"/><a:y xmlns:b="urn:c"/>`): "stands for two namespaces",
		`<r/>`: "an element without a namespace", in(`<x/>`): "an element without a namespace", in(`<x xmlns="urn:x"/><y/>`): "an element without a namespace",
		in(`<b:x/>`): prefix, in(`<a:x b:y="1"/>`): prefix, in(`<b:x xmlns:b="urn:b"/><b:y/>`): prefix, in(`<b:x xmlns:b="urn:b"></b:x><a:y b:z="1"/>`): prefix,
		in(`<a:x y="1" y="2"/>`): twice, in(`<a:x a:y="1" a:y="2"/>`): twice, in(`<a:x xmlns:b="urn:a" a:y="1" b:y="2"/>`): twice, in(`<a:x xmlns:b="urn:b" xmlns:b="urn:b"/>`): twice,
		in(`<a:x xml:base="x"/>`): "other than xml:lang", in(`<a:x xml:id="x"/>`): "other than xml:lang",
		in(`<a:x ID="x"/><a:y Id="x"/>`): id, in(`<a:x a:ID="x"/>`): id, in(`<a:x ID="x" iD="x"/>`): id,
		in("]]>"): "the end of a CDATA", in("&x;"): entity, in("&"): entity, in("&amp"): entity, in("&#;"): entity, in("&#x;"): entity, in("&#0;"): entity,
		in("&#xD800;"): entity, in("&#x110000;"): entity, in("&#99999999999;"): entity, in("&#-1;"): entity, in("&#+5;"): entity, in("&#X41;"): entity, in(`<a:x y="&z;"/>`): entity,
		in("\x00"): char, in("\x0b"): char, in("\uffff"): char, in("<a:x y=\"\x01\"/>"): char,
		"<>": name, "< a:r/>": name, "<:r/>": name, "<a:/>": name, "<a:b:c/>": name, "<1/>": name, "<a:é xmlns:a='urn:a'/>": name, "</>": name, in(`<a:x ="1"/>`): name,
		"<" + strings.Repeat("a", 200) + "/>": name,
	} {
		err := admit([]byte(document), 1<<20)
		switch {
		case want == "" && err != nil:
			t.Errorf("%.80q: %v", document, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%.80q: %v, want %q", document, err, want)
		}
	}
	if err := admit([]byte(in("x")), 10); err == nil || !strings.Contains(err.Error(), "larger than its bound") {
		t.Error(err)
	}
}
