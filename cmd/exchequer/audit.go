// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/exchequer-dev/exchequer/cmd/internal/ui"
	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
)

func newAuditCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "audit",
		Short: "Verify a trail of audit records",
		Long:  `Work with the audit records that the exchanger writes.`,
		Args:  cobra.NoArgs,
	}
	c.AddCommand(newAuditVerifyCommand())
	return c
}

type auditVerifyFlags struct {
	jwks, anchors   []string
	partial, closed bool
}

func newAuditVerifyCommand() *cobra.Command {
	var f auditVerifyFlags
	format := ui.NewFormat(ui.TableFormat, ui.JSONFormat, ui.YAMLFormat)
	c := &cobra.Command{
		Use:   "verify FILE...",
		Short: "Say whether audit records are as they were written, and where not",
		Long: `Say whether audit records are as they were written, and where not.

Every line of the trail has the hash of the line before it, and from time to time,
and at the end, a checkpoint is signed with a token service's key. A line that was
changed, removed, added or moved breaks the chain at that place; somebody who
writes the rest of the chain anew breaks the next checkpoint.

Give the files of one replica in the order in which they were written; - is
standard input. Records of several replicas may be mixed. Lines that are none of
the exchanger's are counted and passed over.

With --jwks the signatures are verified: the token services' key sets, as they were
published at the time. Keep a copy of each: a key set forgets old keys. Without,
only the hashes are compared, which whoever can write the file can write, too.

The end of a trail can be cut off together with its checkpoints. Where checkpoints
are kept elsewhere as well, --anchor proves it; --closed wants the mark of an
orderly end.

Exit codes: 0 as it was written; 1 it was changed; 2 wrong usage; 3 the keys cannot
be fetched now.`,
		Example: `  exchequer audit verify --jwks jwks.json audit.jsonl
  exchequer audit verify --jwks https://sts.example.com/jwks --closed audit.jsonl.1 audit.jsonl
  kubectl logs -n exchequer-system exchequer-exchanger-0 | exchequer audit verify --partial -
  grep '"event":"checkpoint"' audit.jsonl > elsewhere/anchors.jsonl   # now and then
  exchequer audit verify --jwks jwks.json --anchor elsewhere/anchors.jsonl audit.jsonl`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var r *audit.Report
			err := ui.Progress(c.ErrOrStderr(), "read the trail", func() (err error) {
				r, err = f.verify(c, args)
				return err
			})
			if err != nil {
				return err
			}
			if format.String() != ui.TableFormat {
				err = ui.Encode(c.OutOrStdout(), format.String(), r)
			} else {
				printAudit(ui.NewScreen(c.OutOrStdout(), os.Getenv), r, len(f.jwks) > 0)
			}
			if err == nil && !r.Good() {
				return answerNo()
			}
			return err
		},
	}
	flags := c.Flags()
	flags.StringArrayVar(&f.jwks, "jwks", nil, "`FILE|URL` of a JWK Set that checkpoints are signed with; can be repeated")
	flags.StringArrayVar(&f.anchors, "anchor", nil, "`FILE` of checkpoints that were kept elsewhere; can be repeated; needs --jwks")
	flags.BoolVar(&f.partial, "partial", false, "the beginning of the trail is in files that are not given")
	flags.BoolVar(&f.closed, "closed", false, "every chain must have its end: no process is running, none was killed")
	flags.VarP(format, "output", "o", "format of the report")
	return c
}

func (f *auditVerifyFlags) verify(c *cobra.Command, args []string) (r *audit.Report, err error) {
	v := audit.Verification{Partial: f.partial, Closed: f.closed}
	var keyless error
	if len(f.jwks) > 0 {
		v.Signature = f.signatures(c, &keyless)
	} else if len(f.anchors) > 0 {
		return nil, usage("--anchor needs --jwks: a checkpoint is worth what its signature is")
	}
	var opened []io.Closer
	defer func() {
		for _, o := range opened {
			err = errors.Join(err, o.Close())
		}
	}()
	inputs := func(what string, names []string) (in []audit.Input, err error) {
		for _, name := range names {
			from := c.InOrStdin()
			if name != "-" {
				file, err := os.Open(name)
				if err != nil {
					return nil, usage("%s%w", what, err)
				}
				opened = append(opened, file)
				from = file
			}
			in = append(in, audit.Input{Name: name, From: from})
		}
		return in, nil
	}
	anchors, err := inputs("--anchor: ", f.anchors)
	if err != nil {
		return nil, err
	}
	trail, err := inputs("", args)
	if err != nil {
		return nil, err
	}
	r, err = audit.Verify(v, anchors, trail)
	switch {
	case err != nil:
		return nil, usage("%w", err)
	case keyless != nil:
		return nil, keyless
	case len(r.Chains) == 0 && r.Good():
		return nil, usage("there are no audit records in %s: expected lines of JSON as the exchanger writes them", strings.Join(args, ", "))
	}
	return r, nil
}

// signatures verifies checkpoints with the keys of --jwks. A key set that cannot be
// had now is no verdict about the trail: keyless says so.
func (f *auditVerifyFlags) signatures(c *cobra.Command, keyless *error) func(string) ([]byte, error) {
	known := map[string]*jose.PublicKey{}
	find := func(kid string) (*jose.PublicKey, error) {
		for _, set := range f.jwks {
			// An issuer is wanted, and with a key set of its own it is not asked.
			key, err := (&verifyFlags{jwks: set, issuer: "https://jwks.invalid"}).key(c.Context(), kid)
			var o *outcome
			switch {
			case err == nil:
				return key, nil
			case errors.As(err, &o):
				*keyless = err
			}
		}
		return nil, fmt.Errorf("no key of --jwks has its kid %s", kid)
	}
	return func(jws string) ([]byte, error) {
		parsed, err := jose.Parse(jws, jose.Limits{})
		if err != nil {
			return nil, err
		}
		kid := parsed.KeyID()
		key, tried := known[kid]
		if !tried {
			if key, err = find(kid); err != nil {
				return nil, err
			}
			known[kid] = key
		}
		verified, err := parsed.Verify(key, jose.Algorithms())
		if err != nil {
			return nil, err
		}
		if verified.Type != audit.CheckpointType {
			return nil, fmt.Errorf("its typ is %q, expected %q", verified.Type, audit.CheckpointType)
		}
		return json.Marshal(verified.Claims)
	}
}

func printAudit(s *ui.Screen, r *audit.Report, keys bool) {
	counted := fmt.Sprintf("%s in %s", count(r.Records, "record"), count(len(r.Chains), "chain"))
	if r.Good() {
		s.Line(s.Paint(ui.Good, "✓ as it was written: ") + counted)
	} else {
		s.Line(s.Paint(ui.Bad, "✗ not as it was written: ") + counted)
	}
	if r.Foreign > 0 {
		s.Line("  " + count(r.Foreign, "line") + " of others passed over")
	}
	t := &ui.Table{Indent: "  "}
	for _, c := range r.Chains {
		signed := "signatures were not looked at: give --jwks"
		switch {
		case keys && c.Signed == 0:
			signed = "no checkpoint is signed"
		case keys:
			signed = fmt.Sprintf("signed up to %d", c.Signed)
		}
		end := "no end: running, killed or cut off"
		if c.Closed {
			end = "closed in order"
		}
		t.Row(ui.Text(c.Chain), ui.Text(fmt.Sprintf("%d to %d", c.First, c.Last)), ui.Text(signed), ui.Text(end))
	}
	s.Table(t)
	for _, p := range r.Problems {
		s.Line(s.Paint(ui.Bad, "✗ ") + ui.Safe(fmt.Sprintf("%s:%d: %s: %s", p.File, p.Line, p.Kind, p.Detail)))
	}
	if r.More > 0 {
		s.Line(fmt.Sprintf("  and %s more", count(r.More, "problem")))
	}
}
