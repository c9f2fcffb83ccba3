// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
)

// Write is one value that was written to etcd.
type Write struct {
	// Key is where, such as /registry/secrets/exchequer-system/exchequer-snapshot.
	Key string
	// Bytes is the length of key and value.
	Bytes int
	// Deleted says that the key was deleted.
	Deleted bool
}

// Writes records what is written to etcd.
type Writes struct {
	stop  context.CancelFunc
	group sync.WaitGroup

	mu  sync.Mutex
	all []Write
	err error
}

// Record begins to record every write below /registry.
func (p *Plane) Record(ctx context.Context) (*Writes, error) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	// etcd's HTTP gateway speaks the JSON form of its protocol: no client library
	// is needed for one watch. The end of the range is the prefix's successor.
	question, err := json.Marshal(map[string]any{"create_request": map[string][]byte{"key": []byte("/registry/"), "range_end": []byte("/registry0")}})
	if err != nil {
		stop()
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.EtcdURL()+"/v3/watch", bytes.NewReader(question))
	if err != nil {
		stop()
		return nil, err
	}
	resp, err := (&http.Client{}).Do(req)
	if err != nil {
		stop()
		return nil, fmt.Errorf("watch etcd: %w", err)
	}
	w := &Writes{stop: stop}
	created := make(chan struct{})
	w.group.Go(func() {
		defer func() { _ = resp.Body.Close() }()
		w.read(ctx, json.NewDecoder(resp.Body), created)
	})
	<-created
	return w, nil
}

func (w *Writes) read(ctx context.Context, d *json.Decoder, created chan struct{}) {
	var once sync.Once
	defer once.Do(func() { close(created) })
	for {
		var message struct {
			Result struct {
				Events []struct {
					Type string `json:"type"`
					KV   struct {
						Key   []byte `json:"key"`
						Value []byte `json:"value"`
					} `json:"kv"`
				} `json:"events"`
			} `json:"result"`
		}
		if err := d.Decode(&message); err != nil {
			if ctx.Err() == nil {
				w.mu.Lock()
				w.err = fmt.Errorf("the watch of etcd ended: %w", err)
				w.mu.Unlock()
			}
			return
		}
		once.Do(func() { close(created) }) // the first message says that it was created
		w.mu.Lock()
		for _, e := range message.Result.Events {
			w.all = append(w.all, Write{Key: string(e.KV.Key), Bytes: len(e.KV.Key) + len(e.KV.Value), Deleted: e.Type == "DELETE"})
		}
		w.mu.Unlock()
	}
}

// Take returns what was written since the last call.
func (w *Writes) Take() ([]Write, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.all
	w.all = nil
	return all, w.err
}

// Stop ends the recording.
func (w *Writes) Stop() {
	w.stop()
	w.group.Wait()
}
