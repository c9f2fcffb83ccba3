// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/feed"
)

// defaultNamespace is the operator's, where nobody says otherwise.
const defaultNamespace = "exchequer-system"

// manifests are files that were read, and what they mean.
type manifests struct {
	*feed.Build
	// files is how many were read.
	files int
	// unread are problems of files that could not be read, or of which some object
	// is none that this program knows: what the others mean without it is a guess.
	unread []feed.Problem
	// notes are about objects that mean nothing here.
	notes []feed.Problem
	// unseen says what of a cluster could not be seen.
	unseen []string
}

// loadManifests reads files and directories. The error is for arguments that are
// no such thing; what is wrong with the manifests is among the problems.
func loadManifests(roots []string, namespace string, now func() time.Time) (*manifests, error) {
	return loadManifestsAs(roots, namespace, now, func(b *feed.Builder) *feed.Builder { return b })
}

// loadManifestsAs lets judge choose how the objects are judged.
func loadManifestsAs(roots []string, namespace string, now func() time.Time, judge func(*feed.Builder) *feed.Builder) (*manifests, error) {
	paths, err := feed.Files(roots...)
	if err != nil {
		return nil, usage("%w", err)
	}
	if len(paths) == 0 {
		return nil, usage("no manifests in %s: expected *.yaml, *.yml or *.json", strings.Join(roots, ", "))
	}
	m, objects := readManifests(paths)
	builder, err := feed.NewBuilder(namespace, now, nil)
	if err != nil {
		return nil, err
	}
	return m, m.build(judge(builder), objects)
}

// readManifests reads the files.
func readManifests(paths []string) (*manifests, []*feed.Object) {
	m := &manifests{files: len(paths)}
	var objects []*feed.Object
	for _, path := range paths {
		found, bad := feed.ReadFile(path)
		m.unread = append(m.unread, bad...)
		for _, o := range found {
			switch problem, note := foreign(o); {
			case problem != nil:
				m.unread = append(m.unread, *problem)
			case note != nil:
				m.notes = append(m.notes, *note)
			default:
				objects = append(objects, o)
			}
		}
	}
	return m, objects
}

// build says what the objects mean.
func (m *manifests) build(builder *feed.Builder, objects []*feed.Object) (err error) {
	if m.Build, err = builder.Build(objects, nil, 1); err != nil {
		return err
	}
	m.Problems = slices.Concat(m.unread, m.Problems)
	slices.SortStableFunc(m.Problems, func(a, b feed.Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return nil
}

// foreign judges an object that is not of the API that this program reads: of our
// group it is a problem, because somebody meant something by it; of others it is
// passed over, save the few that objects of ours refer to.
func foreign(o *feed.Object) (problem, note *feed.Problem) {
	group, _, _ := strings.Cut(o.APIVersion(), "/")
	p := feed.Problem{File: o.File, Line: o.Line, Object: o.Ref()}
	switch {
	case o.APIVersion() == v1alpha1.GroupVersion.String() && o.Kind() == v1alpha1.PolicyTestKind:
		p.Message = "passed over: it is a test; run `exchequer test`"
		return nil, &p
	case o.APIVersion() == v1alpha1.GroupVersion.String():
		return nil, nil
	case group == v1alpha1.Group:
		p.Field, p.Reason = "apiVersion", v1alpha1.ReasonInvalid
		p.Message = fmt.Sprintf("expected %s, found %s", v1alpha1.GroupVersion, o.APIVersion())
		return &p, nil
	case o.APIVersion() == "v1" && (o.Kind() == "Secret" || o.Kind() == "ConfigMap" || o.Kind() == "Namespace"):
		return nil, nil
	}
	p.Message = "passed over: " + o.APIVersion() + " is not of " + v1alpha1.Group
	return nil, &p
}
