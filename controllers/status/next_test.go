// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package status_test

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/controllers/status"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// said is what translation says of an object that is as it should be.
func said(generation int64, digest string) *translate.ObjectStatus {
	c := func(kind string, s metav1.ConditionStatus, reason string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: s, Reason: reason, ObservedGeneration: generation}
	}
	return &translate.ObjectStatus{Kind: "ExchangePolicy", Generation: generation, InputDigest: digest, Conditions: []metav1.Condition{
		c("Accepted", "True", "Accepted"), c("ResolvedRefs", "True", "ResolvedRefs"), c("Programmed", "Unknown", "Pending"), c("Ready", "Unknown", "Pending"),
	}}
}

func conditionOf(t *testing.T, content map[string]any, kind string) map[string]any {
	t.Helper()
	list, _ := content["conditions"].([]any)
	for _, item := range list {
		if c, ok := item.(map[string]any); ok && c["type"] == kind {
			return c
		}
	}
	t.Fatalf("there is no condition %s in %v", kind, content)
	return nil
}

func TestProgrammedFollowsWhatReplicasAcknowledge(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]struct {
		replicas status.Replicas
		since    uint64
		held     *status.Held
		want     string
	}{
		"no replica serves":                         {status.Replicas{}, 7, nil, "False/NoReplica"},
		"one has it, the other not yet":             {status.Replicas{Acknowledged: []uint64{7, 6}, Refused: []uint64{0, 0}}, 7, nil, "False/Pending"},
		"all have it":                               {status.Replicas{Acknowledged: []uint64{7, 9}, Refused: []uint64{0, 0}}, 7, nil, "True/Programmed"},
		"a replica serves and has said nothing":     {status.Replicas{Acknowledged: []uint64{0}, Refused: []uint64{0}}, 7, nil, "False/Pending"},
		"it was not published yet":                  {status.Replicas{Acknowledged: []uint64{9}, Refused: []uint64{0}}, 0, nil, "False/Pending"},
		"a replica refuses it":                      {status.Replicas{Acknowledged: []uint64{6}, Refused: []uint64{7}}, 7, nil, "False/Pending"},
		"F328: nothing is published, and it is old": {status.Replicas{Acknowledged: []uint64{9}, Refused: []uint64{0}}, 7, &status.Held{Reason: "SnapshotTooLarge"}, "True/Programmed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := &status.Verdict{Said: said(1, "d1"), Since: of.since}
			next, differs := status.Next(&unstructured.Unstructured{Object: map[string]any{}}, v, &status.World{Replicas: of.replicas, Revision: 9, Held: of.held, Now: noon})
			c := conditionOf(t, next, "Programmed")
			if got := fmt.Sprint(c["status"], "/", c["reason"]); got != of.want || differs == status.None {
				t.Errorf("got %s, differs %v", got, differs)
			}
		})
	}
}

func TestAStatusThatSaysItAlreadyIsNotWritten(t *testing.T) {
	t.Parallel()
	v := &status.Verdict{Said: said(1, "d1"), Since: 7}
	w := &status.World{Replicas: status.Replicas{Acknowledged: []uint64{7}, Refused: []uint64{0}}, Revision: 7, Now: noon}
	next, _ := status.Next(&unstructured.Unstructured{Object: map[string]any{}}, v, w)
	stored := &unstructured.Unstructured{Object: map[string]any{"status": next}}

	later := *w
	later.Now = noon.Add(time.Hour)
	if _, differs := status.Next(stored, v, &later); differs != status.None {
		t.Error("an hour later, the same is written again")
	}
	// It latches: a replica that has nothing yet, and one that is gone, change nothing.
	for name, replicas := range map[string]status.Replicas{
		"a new replica": {Acknowledged: []uint64{7, 0}, Refused: []uint64{0, 0}}, "none": {},
	} {
		later.Replicas = replicas
		if _, differs := status.Next(stored, v, &later); differs != status.None {
			t.Errorf("%s: the latch opened", name)
		}
	}
	// What the replicas acknowledged before it was something else does not count.
	next, differs := status.Next(stored, &status.Verdict{Said: said(1, "d1"), Since: 9, Anew: true}, &later)
	if c := conditionOf(t, next, "Programmed"); differs == status.None || c["status"] != "False" {
		t.Errorf("out of force and back: %v", c)
	}
	if v, again := (&status.Verdict{Said: said(1, "d1"), Anew: true}), (&status.Verdict{Said: said(1, "d1")}); v.Same(again) {
		t.Error("a settled status is not looked at again")
	}
	// F275: another generation, or other references, open it.
	for name, changed := range map[string]*translate.ObjectStatus{"generation": said(2, "d1"), "references": said(1, "d2")} {
		next, differs := status.Next(stored, &status.Verdict{Said: changed, Since: 8}, &later)
		if c := conditionOf(t, next, "Programmed"); differs == status.None || c["status"] != "False" {
			t.Errorf("another %s: %v", name, c)
		}
	}
}

func TestTransitionTimesStayWhileTheStatusDoes(t *testing.T) {
	t.Parallel()
	v := &status.Verdict{Said: said(1, "d1"), Since: 7}
	w := &status.World{Replicas: status.Replicas{}, Now: noon}
	next, _ := status.Next(&unstructured.Unstructured{Object: map[string]any{}}, v, w)
	w = &status.World{Replicas: status.Replicas{Acknowledged: []uint64{7}, Refused: []uint64{0}}, Now: noon.Add(time.Hour)}
	next, differs := status.Next(&unstructured.Unstructured{Object: map[string]any{"status": next}}, v, w)
	if differs != status.Now {
		t.Fatal("nothing differs")
	}
	if at := conditionOf(t, next, "Accepted")["lastTransitionTime"]; at != "2026-11-22T12:00:00Z" {
		t.Errorf("Accepted stayed true, and its time moved to %v", at)
	}
	if at := conditionOf(t, next, "Programmed")["lastTransitionTime"]; at != "2026-11-22T13:00:00Z" {
		t.Errorf("Programmed became true, and its time is %v", at)
	}
}

func TestWhatIsAboutToChangeAgainIsWrittenLater(t *testing.T) {
	t.Parallel()
	v := &status.Verdict{Said: said(1, "d1"), Since: 7}
	w := &status.World{Replicas: status.Replicas{Acknowledged: []uint64{6}, Refused: []uint64{0}}, Now: noon, PublishedAt: noon.Add(-100 * time.Millisecond)}
	empty := &unstructured.Unstructured{Object: map[string]any{}}
	if _, differs := status.Next(empty, v, w); differs != status.Later {
		t.Errorf("replicas are just taking it over: %v", differs)
	}
	w.Now = noon.Add(time.Minute)
	if _, differs := status.Next(empty, v, w); differs != status.Now {
		t.Errorf("they had their time: %v", differs)
	}
}

func TestATokenServiceTellsTheCertificateOfItsAssertions(t *testing.T) {
	t.Parallel()
	v := &status.Verdict{Said: said(1, "d1"), Service: &status.Service{Certificate: "PEM"}}
	next, _ := status.Next(&unstructured.Unstructured{Object: map[string]any{}}, v, &status.World{Now: noon})
	if next["samlCertificate"] != "PEM" {
		t.Errorf("%v", next)
	}
	v.Service.Certificate = ""
	next, _ = status.Next(&unstructured.Unstructured{Object: map[string]any{"status": map[string]any{"samlCertificate": "PEM"}}}, v, &status.World{Now: noon})
	if _, there := next["samlCertificate"]; there {
		t.Error("a key that makes no XML signatures has the certificate of the one before it")
	}
}

// F263: whatever a status holds, it is read without harm.
func TestF263AnyStoredStatusIsReadWithoutHarm(t *testing.T) {
	t.Parallel()
	v := &status.Verdict{Said: said(1, "d1"), Service: &status.Service{}}
	for name, stored := range map[string]any{
		"a text": "ready", "a list": []any{1}, "conditions that are a text": map[string]any{"conditions": "all true"},
		"conditions of texts":  map[string]any{"conditions": []any{"Ready", nil, 7}},
		"conditions of lists":  map[string]any{"conditions": []any{map[string]any{"type": []any{}, "status": map[string]any{}, "lastTransitionTime": 9}}},
		"keys that are no map": map[string]any{"keys": []any{nil}, "replicas": 7, "inputDigest": []any{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next, differs := status.Next(&unstructured.Unstructured{Object: map[string]any{"status": stored}}, v, &status.World{Now: noon})
			if differs == status.None || conditionOf(t, next, v1alpha1.ConditionReady)["status"] != "False" {
				t.Errorf("%v", next)
			}
		})
	}
}
