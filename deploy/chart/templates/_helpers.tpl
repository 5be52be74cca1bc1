{{/*
Names are fixed, not made from the release's: the certificate names the Service, and kubelet names its variables after it.
Two installations in one cluster would only watch the same packets twice.
*/}}

{{/* Labels of every object; "component" is the part. */}}
{{- define "netpol-verify.labels" -}}
{{ include "netpol-verify.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: netpol-verify
app.kubernetes.io/managed-by: {{ if .root.Values.namespace.create }}netpol-verify{{ else }}{{ .root.Release.Service }}{{ end }}
{{- if not .root.Values.namespace.create }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels by which a part is selected: never change them, a selector cannot. */}}
{{- define "netpol-verify.selector" -}}
app.kubernetes.io/name: netpol-verify
app.kubernetes.io/instance: netpol-verify
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Labels of a pod: no version, so that a new chart does not restart what has not changed. */}}
{{- define "netpol-verify.pod-labels" -}}
{{ include "netpol-verify.selector" . }}
app.kubernetes.io/part-of: netpol-verify
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* An image by digest or by tag. */}}
{{- define "netpol-verify.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "netpol-verify.secret" -}}
{{ .Values.nats.existingSecret | default "netpol-verify-nats" }}
{{- end }}

{{/* How a part finds NATS: by the variables that kubelet sets for a Service, so that a policy which closes DNS does not blind us. */}}
{{- define "netpol-verify.bus" -}}
- name: NETPOL_VERIFY_NATS
{{- if .root.Values.nats.enabled }}
  value: tls://$(NETPOL_VERIFY_NATS_SERVICE_HOST):$(NETPOL_VERIFY_NATS_SERVICE_PORT)
{{- else }}
  value: {{ required "nats.url is needed where nats.enabled is false" .root.Values.nats.url | quote }}
{{- end }}
- name: NETPOL_VERIFY_NATS_CA
  value: /etc/netpol-verify/nats/ca.crt
- name: NETPOL_VERIFY_NATS_USER
  value: {{ .component }}
- name: NETPOL_VERIFY_NATS_PASSWORD_FILE
  value: /etc/netpol-verify/nats/{{ .component }}-password
{{- end }}

{{/* Of the Secret a part sees its own password and the CA, not the other's and not the server's key. "mode" in decimal. */}}
{{- define "netpol-verify.bus-volume" -}}
- name: nats
  secret:
    secretName: {{ include "netpol-verify.secret" .root }}
    defaultMode: {{ .mode }}
    items:
      - key: ca.crt
        path: ca.crt
      - key: {{ .component }}-password
        path: {{ .component }}-password
{{- end }}

{{/* The security context of everything that is no sensor. */}}
{{- define "netpol-verify.restricted-pod" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "netpol-verify.restricted-container" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Where a pod goes. */}}
{{- define "netpol-verify.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
