// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"math/bits"
	"strings"

	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// maxText is the longest text that an expression may make, in bytes: four times
// the largest token (250 kB).
const maxText = 1 << 20

// tooMuch is a price that no run can pay.
const tooMuch = costLimit + 1

// prices say what a call costs beyond the unit of its node, for every function
// whose work grows with its operands. A unit is ≤ 50 ns: 64 bytes compared, 16
// bytes copied, 8 characters decoded, one element visited.
var prices = map[string]func([]ref.Val) int64{
	operators.Add:           priceAdd,
	operators.Less:          priceCompare,
	operators.LessEquals:    priceCompare,
	operators.Greater:       priceCompare,
	operators.GreaterEquals: priceCompare,

	"size":       priceSize,
	"contains":   priceScan,
	"startsWith": priceCompare,
	"endsWith":   priceCompare,
	"string":     priceCopy,
	"bytes":      priceCopy,
	"int":        priceCopy,
	"uint":       priceCopy,
	"double":     priceCopy,
	"bool":       priceCopy,
	"timestamp":  priceCopy,
	"duration":   priceCopy,

	"charAt":        priceDecode,
	"substring":     priceDecode,
	"lowerAscii":    priceDecode,
	"upperAscii":    priceDecode,
	"trim":          priceDecode,
	"strings.quote": priceQuote,
	"reverse":       priceReverse,
	"indexOf":       priceSearch,
	"lastIndexOf":   priceSearch,
	"split":         priceSplit,
	"replace":       priceReplace,
	"join":          priceJoin,
	"format":        priceFormat,

	"sets.contains":         pricePairs,
	"sets.equivalent":       pricePairs,
	"sets.intersects":       pricePairs,
	"lists.range":           priceRange,
	"slice":                 priceWeight,
	"flatten":               priceWeight,
	"distinct":              priceSelf,
	"sort":                  priceSort,
	"@sortByAssociatedKeys": priceSort,
}

func textUnits(n int) int64 { return int64(n / 64) }

// length is the number of bytes of a text, 0 of anything else.
func length(v ref.Val) int {
	switch s := v.(type) {
	case types.String:
		return len(s)
	case types.Bytes:
		return len(s)
	}
	return 0
}

func text(v ref.Val) string {
	s, _ := v.(types.String)
	return string(s)
}

func elements(v ref.Val) int64 {
	if l, ok := v.(traits.Lister); ok {
		return sizeOf(l)
	}
	return 0
}

func priceAdd(args []ref.Val) int64 {
	n := length(args[0]) + length(args[1])
	if n > maxText {
		return tooMuch
	}
	if _, collecting := args[0].(traits.MutableLister); collecting {
		return elements(args[1])
	}
	return int64(n/16) + 2*(elements(args[0])+elements(args[1]))
}

func priceCompare(args []ref.Val) int64 {
	return textUnits(min(length(args[0]), length(args[1])))
}

// priceFind is for looking for a text of n bytes among others: 10 ns each, and
// the bytes of those that are as long.
func priceFind(elements, n int) int64 { return int64(elements/4) + int64(elements)*textUnits(n) }

func priceScan(args []ref.Val) int64 { return int64(length(args[0])+length(args[1])) / 16 }

func priceCopy(args []ref.Val) int64 { return int64(length(args[0]) / 16) }

func priceSize(args []ref.Val) int64 { return textUnits(length(args[0])) }

func priceDecode(args []ref.Val) int64 { return int64(length(args[0]) / 8) }

func priceQuote(args []ref.Val) int64 { return int64(length(args[0]) / 2) }

func priceReverse(args []ref.Val) int64 { return priceDecode(args) + 2*elements(args[0]) }

// priceSearch is for a search that compares at every place.
func priceSearch(args []ref.Val) int64 {
	n, m := int64(length(args[0])), int64(length(args[1]))
	return n/4 + n*m/32
}

func priceSplit(args []ref.Val) int64 {
	s, sep := text(args[0]), text(args[1])
	return int64(len(s)/8) + int64(strings.Count(s, sep))
}

func priceReplace(args []ref.Val) int64 {
	s, from, to := text(args[0]), text(args[1]), text(args[2])
	found := int64(strings.Count(s, from))
	if n, ok := args[min(3, len(args)-1)].(types.Int); ok && n >= 0 {
		found = min(found, int64(n))
	}
	grown := int64(len(s)) + found*int64(len(to))
	if grown > maxText {
		return tooMuch
	}
	return (int64(len(s))+grown)/8 + found
}

func priceJoin(args []ref.Val) int64 {
	n := elements(args[0])
	total := n * 16
	if len(args) == 2 {
		total += n * int64(length(args[1]))
	}
	if total > maxText {
		return tooMuch
	}
	w := weigh(args[0])
	if (w-n)*64 > maxText {
		return tooMuch
	}
	return total/16 + w*4
}

func priceFormat(args []ref.Val) int64 {
	w := weigh(args[1])
	if w*64 > maxText {
		return tooMuch
	}
	return int64(length(args[0])/8) + w*8
}

func pricePairs(args []ref.Val) int64 {
	a, b := elements(args[0]), elements(args[1])
	return max(weigh(args[0])*b, weigh(args[1])*a)
}

// maxRange is the most that lists.range makes.
const maxRange = 10_000

func priceRange(args []ref.Val) int64 {
	n, _ := args[0].(types.Int)
	if n > maxRange {
		return tooMuch
	}
	return max(int64(n), 0)
}

func priceWeight(args []ref.Val) int64 { return 2 * weigh(args[0]) }

func priceSelf(args []ref.Val) int64 { return weigh(args[0]) * elements(args[0]) / 2 }

func priceSort(args []ref.Val) int64 {
	n := elements(args[0])
	w := weigh(args[0])
	if len(args) == 2 {
		w += weigh(args[1])
	}
	return 2 * w * int64(bits.Len64(uint64(n))) // #nosec G115 -- a length
}

// nested is what wrapping a list or a map costs before it is looked into.
const nested = 8

// weigh counts the values in v at any depth, texts by their length. It stops
// when it has seen more than a run can pay for.
func weigh(v ref.Val) int64 {
	left := int64(tooMuch)
	weighValue(v, &left)
	return tooMuch - left
}

func weighValue(v ref.Val, left *int64) {
	if *left <= 0 {
		return
	}
	*left--
	switch x := v.(type) {
	case types.String:
		*left -= textUnits(len(x))
	case types.Bytes:
		*left -= textUnits(len(x))
	case traits.Lister:
		weighNative(x.Value(), left)
	case traits.Mapper:
		weighNative(x.Value(), left)
	}
}

func weighNative(v any, left *int64) {
	if *left <= 0 {
		return
	}
	switch x := v.(type) {
	case string:
		*left -= 1 + textUnits(len(x))
	case []string:
		*left -= nested
		for _, s := range x {
			*left -= 1 + textUnits(len(s))
		}
	case []any:
		*left -= nested
		for _, e := range x {
			weighNative(e, left)
		}
	case map[string]any:
		*left -= nested
		for _, e := range x {
			*left -= 2
			weighNative(e, left)
		}
	case []ref.Val:
		for _, e := range x {
			weighValue(e, left)
		}
	case map[ref.Val]ref.Val:
		for k, e := range x {
			weighValue(k, left)
			weighValue(e, left)
		}
	case map[string]string:
		*left -= nested
		for _, s := range x {
			*left -= 2 + textUnits(len(s))
		}
	default:
		*left--
	}
}
