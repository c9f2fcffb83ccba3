// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// TokenServiceReference names the TokenService that an object belongs to.
type TokenServiceReference struct {
	// name is the name of the TokenService.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=189
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`
}

// NamespacedReference names an object of a namespaced kind from anywhere.
type NamespacedReference struct {
	// namespace is the namespace of the object.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespace string `json:"namespace"`

	// name is the name of the object.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=189
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`
}

// LocalReference names an object in the same namespace.
type LocalReference struct {
	// name is the name of the object.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=189
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`
}

// KeyReference names one key of a Secret or of a ConfigMap. For an object of a
// namespaced kind it lies in the object's namespace, for one of a cluster kind
// in the operator's.
type KeyReference struct {
	// name is the name of the Secret or ConfigMap.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`

	// key is the key within its data.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key"`
}

// Selector selects objects by their labels. Requirements are ANDed. An empty
// selector selects nothing.
type Selector struct {
	// matchLabels are labels that must be there with these values.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule=`self.all(k, size(k) >= 1 && size(k) <= 317)`,message=`the key of a label has between 1 and 317 characters`
	MatchLabels map[string]LabelValue `json:"matchLabels,omitempty"`

	// matchExpressions are requirements on labels.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	MatchExpressions []SelectorRequirement `json:"matchExpressions,omitempty"`
}

// LabelValue is the value of a label.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$`
type LabelValue string

// SelectorOperator is how a requirement compares a label.
//
// +kubebuilder:validation:Enum=In;NotIn;Exists;DoesNotExist
type SelectorOperator string

// The operators of selectors.
const (
	// SelectorIn asks for a label whose value is one of the values.
	SelectorIn SelectorOperator = "In"
	// SelectorNotIn asks that the label is absent or has none of the values.
	SelectorNotIn SelectorOperator = "NotIn"
	// SelectorExists asks for a label, whatever its value.
	SelectorExists SelectorOperator = "Exists"
	// SelectorDoesNotExist asks that the label is absent.
	SelectorDoesNotExist SelectorOperator = "DoesNotExist"
)

// SelectorRequirement is one requirement on a label.
//
// +kubebuilder:validation:XValidation:rule=`self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : !has(self.values) || size(self.values) == 0`,message=`values are required with In and NotIn, and must be absent with Exists and DoesNotExist`
type SelectorRequirement struct {
	// key is the key of the label.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`
	Key string `json:"key"`

	// operator is how the label is compared.
	//
	// +required
	Operator SelectorOperator `json:"operator"`

	// values are what the label is compared with: at least one for In and
	// NotIn, none for Exists and DoesNotExist.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	Values []LabelValue `json:"values,omitempty"`
}

// NamespaceSet says which namespaces: exactly one of names, selector and all.
//
// +kubebuilder:validation:XValidation:rule=`[has(self.names), has(self.selector), has(self.all) && self.all].filter(x, x).size() == 1`,message=`exactly one of names, selector and all: true must be set`
type NamespaceSet struct {
	// names are the names of the namespaces.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Names []string `json:"names,omitempty"`

	// selector selects namespaces by their labels.
	//
	// +optional
	Selector *Selector `json:"selector,omitempty"`

	// all, when true, is every namespace there is and will be.
	//
	// +optional
	All bool `json:"all,omitempty"`
}
