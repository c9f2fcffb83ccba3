// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package ports

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// Ports come from below those that systems give to outgoing connections (32768 and
// up on Linux): one of these may be taken by somebody's connection between the look
// and the use, or while the program that has it is stopped.
const (
	first = 10_000
	last  = 32_767
)

// given are the ports that this process has given out: none is given twice, since the
// program that has it may be stopped just now.
var given sync.Map //nolint:gochecknoglobals // ports belong to the machine, as this does

// Free returns a port of the loopback interface where nobody listens.
func Free() (int, error) {
	for range 1000 {
		port := first + rand.IntN(last-first+1)
		if _, taken := given.LoadOrStore(port, true); taken {
			continue
		}
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue // somebody listens there
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("no free port between %d and %d was found", first, last)
}
