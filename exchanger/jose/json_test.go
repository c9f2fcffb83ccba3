// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestDecodeStrictReads(t *testing.T) {
	t.Parallel()
	type object = map[string]any
	for name, tc := range map[string]struct {
		in   string
		want object
	}{
		"an empty object":            {`{}`, object{}},
		"whitespace everywhere":      {" \t\r\n{ \"a\" : [ 1 , { } ] , \"b\" : null } ", object{"a": []any{int64(1), object{}}, "b": nil}},
		"every kind of value":        {`{"s":"x","t":true,"f":false,"n":null,"i":-7,"d":1.5,"a":[],"o":{}}`, object{"s": "x", "t": true, "f": false, "n": nil, "i": int64(-7), "d": 1.5, "a": []any{}, "o": object{}}},
		"every escape":               {`{"a":"\"\\\/\b\f\n\r\tA\u00e9\u20AC"}`, object{"a": "\"\\/\b\f\n\r\tAé€"}},
		"a surrogate pair":           {`{"a":"x\ud83d\ude00y"}`, object{"a": "x😀y"}},
		"an escaped NUL":             {`{"a":"\u0000"}`, object{"a": "\x00"}},
		"UTF-8 as it is":             {`{"é":"😀"}`, object{"é": "😀"}},
		"an escaped name":            {`{"\u0061\n":1}`, object{"a\n": int64(1)}},
		"the empty name":             {`{"":1}`, object{"": int64(1)}},
		"names that differ in case":  {`{"a":1,"A":2}`, object{"a": int64(1), "A": int64(2)}},
		"one name on two levels":     {`{"a":{"a":1}}`, object{"a": object{"a": int64(1)}}},
		"the largest int64":          {`{"a":9223372036854775807}`, object{"a": int64(math.MaxInt64)}},
		"the smallest int64":         {`{"a":-9223372036854775808}`, object{"a": int64(math.MinInt64)}},
		"an integer beyond int64":    {`{"a":9223372036854775808}`, object{"a": 9223372036854775808.0}},
		"an integer in exponent":     {`{"a":1.7e9}`, object{"a": 1.7e9}},
		"minus zero":                 {`{"a":-0}`, object{"a": int64(0)}},
		"less than float64 can tell": {`{"a":1e-400}`, object{"a": 0.0}},
		"exponents with signs":       {`{"a":[1E+2,1e-2,0.0e0]}`, object{"a": []any{100.0, 0.01, 0.0}}},
		"four levels":                {`{"a":[[[]]]}`, object{"a": []any{[]any{[]any{}}}}},
		"four levels, many times":    {`{"a":[[[],[]],[[]]],"b":[[{}]]}`, object{"a": []any{[]any{[]any{}, []any{}}, []any{[]any{}}}, "b": []any{[]any{object{}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := DecodeStrict([]byte(tc.in), 4)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %#v, want %#v", got, tc.want)
			}
		})
	}
}

func TestDecodeStrictRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ in, why string }{
		"nothing":                      {``, whyObject},
		"whitespace":                   {` `, whyObject},
		"a form feed as whitespace":    {"\f{}", whyObject},
		"a no-break space":             {"{}\u00a0", whyTrailing},
		"a byte order mark":            {"\ufeff{}", whyObject},
		"a list":                       {`[]`, whyObject},
		"an unclosed object":           {`{`, whySyntax},
		"an unclosed list":             {`{"a":[1`, whySyntax},
		"an unclosed string":           {`{"a`, whyString},
		"a comma too many":             {`{"a":1,}`, whySyntax},
		"a comma too many in a list":   {`{"a":[1,]}`, whySyntax},
		"no comma":                     {`{"a":1 "b":2}`, whySyntax},
		"no colon":                     {`{"a" 1}`, whySyntax},
		"no value":                     {`{"a":}`, whySyntax},
		"a name without quotes":        {`{a:1}`, whySyntax},
		"single quotes":                {`{'a':1}`, whySyntax},
		"a comment":                    {`{/**/}`, whySyntax},
		"the wrong bracket":            {`{"a":[1}`, whySyntax},
		"a literal in upper case":      {`{"a":TRUE}`, whySyntax},
		"half a literal":               {`{"a":tru}`, whySyntax},
		"a literal with a tail":        {`{"a":nullx}`, whySyntax},
		"NaN":                          {`{"a":NaN}`, whySyntax},
		"minus Infinity":               {`{"a":-Infinity}`, whyNumber},
		"a leading zero":               {`{"a":01}`, whyNumber},
		"a leading plus":               {`{"a":+1}`, whySyntax},
		"a leading dot":                {`{"a":.5}`, whySyntax},
		"a trailing dot":               {`{"a":1.}`, whyNumber},
		"an empty exponent":            {`{"a":1e}`, whyNumber},
		"a minus alone":                {`{"a":-}`, whyNumber},
		"hexadecimal":                  {`{"a":0x10}`, whySyntax},
		"an underscore":                {`{"a":1_000}`, whySyntax},
		"1e400":                        {`{"a":1e400}`, whyRange},
		"an integer of 400 digits":     {`{"a":` + strings.Repeat("9", 400) + `}`, whyRange},
		"a tab in a string":            {"{\"a\":\"\t\"}", whyString},
		"a line feed after an escape":  {"{\"a\":\"\\n\n\"}", whyString},
		"a NUL in a string":            {"{\"a\":\"\x00\"}", whyString},
		"an unknown escape":            {`{"a":"\x41"}`, whyString},
		"a backslash at the end":       {`{"a":"\`, whyString},
		"a short unicode escape":       {`{"a":"\u12"}`, whyString},
		"a unicode escape not in hex":  {`{"a":"\u12g4"}`, whyString},
		"a unicode escape at the end":  {`{"a":"\u`, whyString},
		"an unclosed escaped string":   {`{"a":"\n`, whyString},
		"a lone high surrogate":        {`{"a":"\ud83dx"}`, whySurrogate},
		"a high surrogate at the end":  {`{"a":"\ud83d`, whySurrogate},
		"two high surrogates":          {`{"a":"\ud83d\ud83d"}`, whySurrogate},
		"two low surrogates":           {`{"a":"\ude00\ude00"}`, whySurrogate},
		"a lone low surrogate":         {`{"a":"\ude00"}`, whySurrogate},
		"an overlong encoding":         {"{\"a\":\"\xc0\x80\"}", whyUTF8},
		"a surrogate in UTF-8":         {"{\"a\":\"\xed\xa0\x80\"}", whyUTF8},
		"a cut character":              {"{\"a\":\"\xe2\x82\"}", whyUTF8},
		"a member twice":               {`{"a":1,"a":1}`, whyDuplicate},
		"a member twice, once escaped": {`{"a":1,"\u0061":1}`, whyDuplicate},
		"a member twice, deeper":       {`{"a":[{"b":1,"b":null}]}`, whyDuplicate},
		"a null member twice":          {`{"a":null,"a":null}`, whyDuplicate},
		"five levels of lists":         {`{"a":[[[[]]]]}`, whyDepth},
		"five levels of objects":       {`{"a":{"a":{"a":{"a":{}}}}}`, whyDepth},
		"trailing data":                {`{} {}`, whyTrailing},
		"a trailing NUL":               {"{}\x00", whyTrailing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := DecodeStrict([]byte(tc.in), 4)
			wantCode(t, err, BadJSON)
			if want := refuse(BadJSON, tc.why).Error(); err.Error() != want || m != nil {
				t.Errorf("%v, want %s", err, want)
			}
		})
	}
	t.Run("no levels at all", func(t *testing.T) {
		t.Parallel()
		for _, depth := range []int{0, -1} {
			_, err := DecodeStrict([]byte(`{}`), depth)
			wantCode(t, err, BadJSON)
		}
	})
}

func TestNumericDate(t *testing.T) {
	t.Parallel()
	second := func(s int64) time.Time { return time.Unix(s, 0) }
	for name, tc := range map[string]struct {
		literal string
		want    time.Time
		ok      bool
	}{
		"F100: an integer":            {`1700000000`, second(1700000000), true},
		"F100: 1.7e9":                 {`1.7e9`, second(1700000000), true},
		"F100: a fraction":            {`1700000000.5`, time.Unix(1700000000, 5e8), true},
		"F100: -0":                    {`-0`, second(0), true},
		"F100: -0.0":                  {`-0.0`, second(0), true},
		"F100: 1e-400":                {`1e-400`, second(0), true},
		"F100: before 1970":           {`-1.5`, time.Unix(-2, 5e8), true},
		"F100: 2^53":                  {`9007199254740992`, second(1 << 53), true},
		"F100: -2^53":                 {`-9007199254740992`, second(-1 << 53), true},
		"F100: 2^53+1":                {`9007199254740993`, time.Time{}, false},
		"F100: -2^53-1":               {`-9007199254740993`, time.Time{}, false},
		"F100: 2^63":                  {`9223372036854775808`, time.Time{}, false},
		"F100: 1e300":                 {`1e300`, time.Time{}, false},
		"F100: -1e300":                {`-1e300`, time.Time{}, false},
		"F100: a string":              {`"1700000000"`, time.Time{}, false},
		"F100: true":                  {`true`, time.Time{}, false},
		"F100: null":                  {`null`, time.Time{}, false},
		"F100: a list of one integer": {`[1700000000]`, time.Time{}, false},
		"F100: an object":             {`{}`, time.Time{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := DecodeStrict([]byte(`{"exp":`+tc.literal+`}`), 4)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := NumericDate(m["exp"])
			if ok != tc.ok || !got.Equal(tc.want) {
				t.Errorf("%v %v, want %v %v", got, ok, tc.want, tc.ok)
			}
		})
	}
	for _, v := range []any{math.NaN(), math.Inf(1), math.Inf(-1), 5, nil} {
		if _, ok := NumericDate(v); ok {
			t.Errorf("%v is taken for a date", v)
		}
	}
}
