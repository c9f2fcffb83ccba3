{{/* A policy that is bound for the whole cluster. It runs in the API server: there is nothing that can be down. */}}
{{- define "exchequer.binding" }}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ .name }}
  labels:
    {{- include "exchequer.labels" .root | nindent 4 }}
spec:
  policyName: {{ .name }}
  validationActions: [Deny]
  {{- with .exempt }}
  matchResources:
    namespaceSelector:
      matchExpressions:
      - key: kubernetes.io/metadata.name
        operator: NotIn
        values:
        {{- toYaml . | nindent 8 }}
  {{- end }}
{{- end }}

{{/*
What is judged: a new spec, or a changed one. Labels, finalizers, owners and
status of an object that broke a rule before the rule came can still be written,
it can be deleted, and it can be suspended, which takes it out of force.
*/}}
{{- define "exchequer.changed" -}}
- name: spec-is-new
  expression: "request.operation == 'CREATE' || object.spec != oldObject.spec"
- name: not-suspended
  expression: "!(has(object.spec.suspend) && object.spec.suspend)"
{{- end }}

{{- define "exchequer.rule" -}}
- apiGroups: [exchequer.dev]
  apiVersions: ["*"]
  resources: [{{ join ", " . }}]
  operations: [CREATE, UPDATE]
{{- end }}
