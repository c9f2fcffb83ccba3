// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package status

// Replicas are the replicas that serve: their Pods are ready and are not going away.
type Replicas struct {
	// Acknowledged has the newest revision that each of them serves; 0 is none.
	Acknowledged []uint64
	// Refused has, for each, the newest revision that it would not serve; 0 is none.
	Refused []uint64
	// SharedStore says that they share their one-time state.
	SharedStore bool
}

// all says whether every replica has acknowledged a revision.
func (r *Replicas) all(revision uint64) bool {
	for _, a := range r.Acknowledged {
		if a < revision {
			return false
		}
	}
	return len(r.Acknowledged) > 0
}

func (r *Replicas) refuses(revision uint64) bool {
	for i, f := range r.Refused {
		if f >= revision && r.Acknowledged[i] < revision {
			return true
		}
	}
	return false
}

// current counts those that serve a revision.
func (r *Replicas) current(revision uint64) int {
	n := 0
	for _, a := range r.Acknowledged {
		if a >= revision {
			n++
		}
	}
	return n
}

// stored says whether one-time state is kept where all replicas that serve see it.
func (w *World) stored() bool {
	return w.Replicas.SharedStore || (w.Memory && len(w.Replicas.Acknowledged) == 1)
}
