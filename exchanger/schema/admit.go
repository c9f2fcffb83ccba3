// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"sort"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
)

// Problem is one thing that is wrong with an object.
type Problem struct {
	// Path is where: spec.clients[0].name. Empty, it is the object as a whole.
	Path string

	// Message is what was expected, and what was found.
	Message string
}

// String returns the problem in one line.
func (p Problem) String() string {
	if p.Path == "" {
		return p.Message
	}
	return p.Path + ": " + p.Message
}

// Admit judges an object as the API server would at its creation, or, with its
// former self, at its update. It returns a copy with the defaults filled in,
// or all that is wrong with it, sorted by path. Neither argument is changed.
func (v *Validator) Admit(object, old map[string]any) (defaulted map[string]any, problems []Problem) {
	defer func() {
		// The machinery below is other people's, and a manifest is a
		// stranger's: should it panic, this object is refused and the rest
		// goes on.
		if recover() != nil {
			defaulted, problems = nil, []Problem{{Message: "the object could not be judged; this is a bug in exchequer"}}
		}
	}()

	fresh, problem := copyObject(object)
	if problem != nil {
		return nil, []Problem{*problem}
	}
	k, problem := v.kindOf(fresh)
	if problem != nil {
		return nil, []Problem{*problem}
	}
	if err := k.compile(); err != nil {
		return nil, []Problem{{Message: fmt.Sprintf("the CRD of %s could not be compiled: %v", k.crd.Spec.Names.Kind, err)}}
	}

	problems = k.prepare(fresh)
	former, problem := k.former(old)
	if problem != nil {
		return nil, []Problem{*problem}
	}
	problems = append(problems, k.problems(k.validateMetadata(fresh))...)
	problems = append(problems, k.problems(k.validate(fresh, former))...)
	if len(problems) > 0 {
		return nil, tidy(problems)
	}
	return fresh, nil
}

// kindOf finds the kind of an object by its apiVersion and kind.
func (v *Validator) kindOf(object map[string]any) (*kind, *Problem) {
	apiVersion, ok := object["apiVersion"].(string)
	if !ok || apiVersion != v1alpha1.GroupVersion.String() {
		return nil, &Problem{Path: "apiVersion", Message: "expected " + v1alpha1.GroupVersion.String() + found(object["apiVersion"])}
	}
	name, _ := object["kind"].(string)
	k, ok := v.kinds[name]
	if !ok {
		message := fmt.Sprintf("expected a kind of %s%s", v1alpha1.Group, found(object["kind"]))
		return nil, &Problem{Path: "kind", Message: message + didYouMean(name, v.Kinds())}
	}
	return k, nil
}

// prepare does what the API server does while it decodes: it prunes what the
// schema does not know, drops nulls, clears what a creation cannot set, and
// fills in the defaults. What was pruned is returned as problems, because here
// as in strict validation it is a mistake.
func (k *kind) prepare(object map[string]any) []Problem {
	var problems []Problem
	meta, foundMeta, unknown, err := objectmeta.GetObjectMetaWithOptions(object, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		problems = append(problems, Problem{Path: "metadata", Message: "expected the standard object metadata: " + err.Error()})
		foundMeta = false
		delete(object, "metadata")
	}
	unknown = append(unknown, pruning.PruneWithOptions(object, k.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})...)
	for _, path := range unknown {
		problems = append(problems, Problem{Path: path, Message: "unknown field" + k.suggest(path)})
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(object, k.structural)
	if foundMeta {
		if !k.namespaced {
			meta.Namespace = ""
		}
		if err := objectmeta.SetObjectMeta(object, meta); err != nil {
			problems = append(problems, Problem{Path: "metadata", Message: "expected the standard object metadata: " + err.Error()})
		}
	}
	if k.hasStatus() {
		delete(object, "status")
	}
	defaulting.Default(object, k.structural)
	return problems
}

// former prepares the former self of an object for comparison. Whatever else
// may have been wrong with it is no matter now.
func (k *kind) former(old map[string]any) (map[string]any, *Problem) {
	if old == nil {
		return nil, nil
	}
	prepared, problem := copyObject(old)
	if problem != nil {
		return nil, problem
	}
	if prepared["kind"] != k.crd.Spec.Names.Kind {
		return nil, &Problem{Path: "kind", Message: "the kind of an object cannot be changed"}
	}
	k.prepare(prepared)
	if errs := k.validate(prepared, nil); blocking(errs) {
		// Rules about change cannot compare with something shapeless.
		return nil, nil
	}
	return prepared, nil
}

func (k *kind) hasStatus() bool {
	subresources := k.version.Subresources
	if subresources == nil {
		subresources = k.crd.Spec.Subresources
	}
	return subresources != nil && subresources.Status != nil
}

// validateMetadata checks names, labels, annotations and owners as the API
// server does for every object. An object in a file needs a name: nobody makes
// one of generateName.
func (k *kind) validateMetadata(object map[string]any) field.ErrorList {
	path := field.NewPath("metadata")
	accessor := &unstructured.Unstructured{Object: object}
	if accessor.GetName() == "" {
		return field.ErrorList{field.Required(path.Child("name"), "")}
	}
	return apivalidation.ValidateObjectMetaAccessor(accessor, k.namespaced, apivalidation.NameIsDNSSubdomain, path)
}

// tidy sorts problems by path and drops those that are said twice.
func tidy(problems []Problem) []Problem {
	sort.SliceStable(problems, func(i, j int) bool {
		if problems[i].Path != problems[j].Path {
			return problems[i].Path < problems[j].Path
		}
		return problems[i].Message < problems[j].Message
	})
	kept := problems[:0]
	for i, problem := range problems {
		if i == 0 || problem != problems[i-1] {
			kept = append(kept, problem)
		}
	}
	return kept
}
