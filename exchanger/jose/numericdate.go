// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"math"
	"time"
)

// maxNumericDate is 2^53: up to there every integer is exact in float64, so
// that every reader of a token sees the same second.
const maxNumericDate = 1 << 53

// NumericDate reads a claim as RFC 7519, section 2 NumericDate. Only a JSON
// number within ±2^53 is one; a string or a boolean is not, however it looks.
func NumericDate(v any) (time.Time, bool) {
	switch n := v.(type) {
	case int64:
		if n < -maxNumericDate || n > maxNumericDate {
			return time.Time{}, false
		}
		return time.Unix(n, 0), true
	case float64:
		// The comparison is written so that NaN fails it.
		if !(math.Abs(n) <= maxNumericDate) {
			return time.Time{}, false
		}
		seconds, fraction := math.Modf(n)
		return time.Unix(int64(seconds), int64(fraction*float64(time.Second))), true
	}
	return time.Time{}, false
}
