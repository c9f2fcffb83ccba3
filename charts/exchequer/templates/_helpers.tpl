{{/* Names are fixed: RBAC, admission and documentation know them. One release a cluster. */}}

{{- define "exchequer.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/name: exchequer
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: exchequer
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What selects Pods. Never changes: a Deployment's selector cannot. */}}
{{- define "exchequer.selector" -}}
app.kubernetes.io/name: exchequer
app.kubernetes.io/component: {{ . }}
{{- end }}

{{/* Labels of Pods: without the chart's version, so that a chart that changes nothing of a Pod rolls nothing. */}}
{{- define "exchequer.podLabels" -}}
app.kubernetes.io/name: exchequer
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: exchequer
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "exchequer.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{- define "exchequer.tls" -}}
{{- if ne .Values.tls.mode "None" }}true{{ end -}}
{{- end }}

{{/* The port of a Service: what it says, else by TLS. */}}
{{- define "exchequer.port" -}}
{{- .service.port | default (ternary 443 80 (eq (include "exchequer.tls" .root) "true")) -}}
{{- end }}

{{- define "exchequer.replicated" -}}
{{- if or .Values.exchanger.autoscaling.enabled (gt (int .Values.exchanger.replicas) 1) }}true{{ end -}}
{{- end }}

{{/* The store, and the contradiction that would let an assertion be used twice. */}}
{{- define "exchequer.store" -}}
{{- $replicated := eq (include "exchequer.replicated" .) "true" -}}
{{- if and $replicated (eq .Values.exchanger.store "memory") -}}
{{- fail "exchanger.store: memory is the memory of one process, and there are to be more replicas: what one has seen the others would accept again. Set exchanger.replicas to 1 without autoscaling, set exchanger.store to redis, or leave it empty: replicas without a shared store refuse what needs one." -}}
{{- end -}}
{{- if and (eq .Values.exchanger.store "redis") (not .Values.redis.address) -}}
{{- fail "exchanger.store: redis needs redis.address, such as rediss://redis.example:6379." -}}
{{- end -}}
{{- if and .Values.redis.address (ne .Values.exchanger.store "redis") -}}
{{- fail "redis.address is set and nothing would use it: set exchanger.store to redis as well." -}}
{{- end -}}
{{- if and (or .Values.redis.ca .Values.redis.clientCertificate) (not .Values.redis.secretName) -}}
{{- fail "redis.ca and redis.clientCertificate are keys of the Secret redis.secretName, which is not set." -}}
{{- end -}}
{{- .Values.exchanger.store | default (ternary "none" "memory" $replicated) -}}
{{- end }}

{{/* What the exchanger is told of the shared store. */}}
{{- define "exchequer.storeArgs" -}}
{{- if eq (include "exchequer.store" .) "redis" }}
{{- with .Values.redis }}
- {{ printf "--store-address=%s" .address | quote }}
{{- with .username }}
- {{ printf "--store-username=%s" . | quote }}
{{- end }}
{{- if and .secretName .password }}
- --store-password-file=/etc/exchequer/redis/password
{{- end }}
{{- if .ca }}
- --store-ca=/etc/exchequer/redis/ca.crt
{{- end }}
{{- if .clientCertificate }}
- --store-cert=/etc/exchequer/redis/tls.crt
- --store-key=/etc/exchequer/redis/tls.key
{{- end }}
{{- if .confirmReplicas }}
- --store-replicas={{ .confirmReplicas }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The Secret of the shared store, where there is one. */}}
{{- define "exchequer.storeSecret" -}}
{{- if eq (include "exchequer.store" .) "redis" }}{{ .Values.redis.secretName }}{{ end -}}
{{- end }}

{{/* Bytes of a quantity such as 512Mi. */}}
{{- define "exchequer.bytes" -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 -}}
{{- $number := regexFind "^[0-9]+" (toString .) -}}
{{- mul (atoi $number) (get $units (trimPrefix $number (toString .))) -}}
{{- end }}

{{/* GOMEMLIMIT makes the collector work harder near the limit, instead of the kernel ending the process. */}}
{{- define "exchequer.gomemlimit" -}}
{{- with .limits -}}{{- with .memory -}}
{{- $limit := int64 (include "exchequer.bytes" .) -}}
{{- $reserved := int64 (include "exchequer.bytes" $.reserved) -}}
{{- if le $limit $reserved -}}
{{- fail (printf "exchanger.resources.limits.memory (%s) must be more than exchanger.checkpoint.sizeLimit (%s): the checkpoint lives in memory and counts towards the limit." . $.reserved) -}}
{{- end -}}
{{- div (mul (sub $limit $reserved) 9) 10 -}}
{{- end -}}{{- end -}}
{{- end }}

{{/* Restricted Pod Security. */}}
{{- define "exchequer.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "exchequer.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
privileged: false
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* The API server's token: projected, an hour at most. 3600 and not 3607: the API server extends that one to a year. */}}
{{- define "exchequer.tokenVolume" -}}
- name: kube-api-access
  projected:
    defaultMode: 0440
    sources:
    - serviceAccountToken: {path: token, expirationSeconds: 3600}
    - configMap:
        name: kube-root-ca.crt
        items: [{key: ca.crt, path: ca.crt}]
    - downwardAPI:
        items: [{path: namespace, fieldRef: {apiVersion: v1, fieldPath: metadata.namespace}}]
{{- end }}

{{- define "exchequer.tokenMount" -}}
- {name: kube-api-access, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- end }}

{{- define "exchequer.podEnv" -}}
- {name: POD_NAME, valueFrom: {fieldRef: {apiVersion: v1, fieldPath: metadata.name}}}
- {name: POD_NAMESPACE, valueFrom: {fieldRef: {apiVersion: v1, fieldPath: metadata.namespace}}}
- {name: POD_UID, valueFrom: {fieldRef: {apiVersion: v1, fieldPath: metadata.uid}}}
{{- end }}

{{- define "exchequer.egressArgs" -}}
{{- with .Values.egress.proxy }}
- --egress-proxy={{ . }}
{{- end }}
{{- if .Values.egress.caConfigMap.name }}
- --egress-ca=/etc/exchequer/egress/ca.crt
{{- end }}
{{- end }}

{{- define "exchequer.egressVolume" -}}
{{- with .Values.egress.caConfigMap }}{{- if .name }}
- name: egress-ca
  configMap:
    name: {{ .name }}
    items: [{key: {{ .key | quote }}, path: ca.crt}]
{{- end }}{{- end }}
{{- end }}

{{- define "exchequer.egressMount" -}}
{{- if .Values.egress.caConfigMap.name }}
- {name: egress-ca, mountPath: /etc/exchequer/egress, readOnly: true}
{{- end }}
{{- end }}

{{/* The cluster kinds belong to the platform, the namespaced kinds to teams. */}}
{{- define "exchequer.clusterKinds" -}}
[tokenservices, trustedissuers, impersonationgrants, externaltargets, tokenrevocations]
{{- end }}
{{- define "exchequer.namespacedKinds" -}}
[exchangeclients, clientscopes, exchangepolicies]
{{- end }}

{{/* The 128 slots of a snapshot: two sides of 64. */}}
{{- define "exchequer.slots" -}}
{{- range $side := list "a" "b" }}
{{- range $index := until 64 }}
- exchequer-snapshot-{{ $side }}-{{ printf "%02d" $index }}
{{- end }}
{{- end }}
{{- end }}

{{/* Whole seconds of a duration such as 3s or 1m30s, rounded up. */}}
{{- define "exchequer.seconds" -}}
{{- $total := 0 -}}
{{- range regexFindAll "[0-9]+(h|ms|m|s)" . -1 -}}
{{- $number := atoi (regexFind "^[0-9]+" .) -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- if eq $unit "ms" -}}{{- $total = add $total (div (add $number 999) 1000) -}}
{{- else -}}{{- $total = add $total (mul $number (get (dict "h" 3600 "m" 60 "s" 1) $unit)) -}}{{- end -}}
{{- end -}}
{{- $total -}}
{{- end }}

{{/* What the exchanger would refuse at its start is refused here, before anything is rolled. */}}
{{- define "exchequer.bounds" -}}
{{- if lt (int (include "exchequer.seconds" .Values.exchanger.maxSnapshotAge)) 120 -}}
{{- fail "exchanger.maxSnapshotAge: expected at least 2m: an API server is asked every minute, and has to be allowed to be slow" -}}
{{- end -}}
{{- if gt (int (include "exchequer.seconds" .Values.exchanger.drainDelay)) 120 -}}
{{- fail "exchanger.drainDelay: expected at most 2m" -}}
{{- end -}}
{{- end }}
