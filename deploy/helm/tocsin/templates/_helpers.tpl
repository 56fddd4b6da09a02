{{- define "tocsin.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{/* Labels of an object of a component: (list . "serve"). */}}
{{- define "tocsin.labels" -}}
{{ include "tocsin.selector" . }}
{{- with index . 0 }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
{{- end }}

{{- define "tocsin.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* The fields that all pods have: (list . "serve"). */}}
{{- define "tocsin.pod" -}}
{{- $component := index . 1 -}}
{{- with index . 0 }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- if ne $component "migrate" }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "tocsin.selector" (list . $component) | nindent 8 }}
{{- end }}
volumes:
  - name: secret
    secret: {secretName: {{ .Values.secretName | quote }}, defaultMode: 0440}
  {{- range .Values.secretFiles }}
  - name: {{ printf "secret-%s" . }}
    secret: {secretName: {{ . | quote }}, defaultMode: 0440}
  {{- end }}
  {{- if ne $component "migrate" }}
  - name: config
    configMap: {name: {{ include "tocsin.name" . }}}
  {{- end }}
{{- end }}
{{- end }}

{{/* The fields that all containers have: (list . "serve"). */}}
{{- define "tocsin.container" -}}
{{- $component := index . 1 -}}
{{- with index . 0 }}
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [{{ $component }}]
securityContext:
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
resources: {{ toJson (index .Values $component).resources }}
volumeMounts:
  - {name: secret, mountPath: /run/secrets/tocsin, readOnly: true}
  {{- range .Values.secretFiles }}
  - {name: {{ printf "secret-%s" . }}, mountPath: {{ printf "/run/secrets/%s" . }}, readOnly: true}
  {{- end }}
  {{- if ne $component "migrate" }}
  - {name: config, mountPath: /etc/tocsin, readOnly: true}
  {{- end }}
{{- end }}
{{- end }}

{{/* Variables of all containers. */}}
{{- define "tocsin.env" -}}
- {name: TOCSIN_LOG, value: json}
- {name: TOCSIN_CONFIG, value: /etc/tocsin/tocsin.yaml}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tocsin.servers" -}}
- {name: DATABASE_URL_FILE, value: /run/secrets/tocsin/DATABASE_URL}
- {name: REDIS_URL_FILE, value: /run/secrets/tocsin/REDIS_URL}
- {name: TOCSIN_TOKEN_FILE, value: /run/secrets/tocsin/TOCSIN_TOKEN}
{{- end }}

{{/* Probes of a port's name. */}}
{{- define "tocsin.probes" -}}
livenessProbe:
  httpGet: {path: /healthz, port: {{ . }}}
  periodSeconds: 10
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: {{ . }}}
  periodSeconds: 5
{{- end }}
