// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package address

import (
	"errors"
	"fmt"
	"net"
	"path"
	"strconv"
	"strings"
)

const (
	unixScheme = "unix://"
	// maxSocketBytes is what an address of a unix socket holds on Linux.
	maxSocketBytes = 107
	maxBytes       = 512
)

// Parse reads unix:///path, which is local, or host:port, which is not.
func Parse(s string) (local bool, err error) {
	if socket, ok := strings.CutPrefix(s, unixScheme); ok {
		if !path.IsAbs(socket) || path.Clean(socket) != socket || socket == "/" {
			return true, errors.New("expected unix:// and a clean absolute path, as in unix:///run/signer/signer.sock")
		}
		if len(socket) > maxSocketBytes {
			return true, fmt.Errorf("the path of a socket has at most %d bytes, this one has %d", maxSocketBytes, len(socket))
		}
		return true, nil
	}
	host, port, err := net.SplitHostPort(s)
	if n, portErr := strconv.ParseUint(port, 10, 16); err != nil || host == "" || portErr != nil || n == 0 || len(s) > maxBytes {
		return false, errors.New("expected unix:///path or host:port")
	}
	return false, nil
}
