// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package upstream is a real, little HTTP server that stands for the servers which
// an exchange asks: introspection, userinfo and token endpoints, and webhooks. What
// it answers is the test's business; what it was sent, it remembers.
//
// It promises that every request is noted before it is answered, with its whole
// body, and that nothing of what it tests is linked into it.
//
// Tests and programs for demonstration may import it; nothing that runs in
// production may.
//
//	up, err := upstream.Start(upstream.Options{})
//	defer up.Close()
//	up.Handle("/introspect", func(c *upstream.Call) upstream.Reply {
//		return upstream.JSON(map[string]any{"active": c.Form.Get("token") == "good", "sub": "alice"})
//	})
package upstream
