{{- define "ibid.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ibid.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "ibid.labels" -}}
{{ include "ibid.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "ibid.serviceAccountName" -}}
{{- if .Values.serviceAccount.name -}}
{{- .Values.serviceAccount.name -}}
{{- else if .Values.serviceAccount.create -}}
{{- include "ibid.fullname" . -}}
{{- else -}}
default
{{- end -}}
{{- end -}}

{{/* ibid's own file: what the values say, and what only the chart can know. */}}
{{- define "ibid.settings" -}}
{{- $address := ternary (printf "0.0.0.0:%d" (int .Values.gateway.port)) (printf "127.0.0.1:%d" (int .Values.sidecar.port)) .Values.gateway.enabled -}}
{{- $own := dict "listen" $address "admin" (dict "listen" "0.0.0.0:8081") "data_dir" "/var/lib/ibid" "secret_file" "/run/secrets/ibid/secret" "limits" (dict "drain_timeout_ms" (mul 1000 (int .Values.shutdown.drainSeconds))) -}}
{{- mergeOverwrite (deepCopy .Values.config) $own | toYaml -}}
{{- end -}}

{{/* What a gateway's container and a sidecar have in common, but for ports, resources and the end. */}}
{{- define "ibid.container" -}}
name: ibid
image: {{ printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
# Alive: the loop turns. Ready: it takes requests, also without one of its parts; not while it drains.
startupProbe:
  {{- if .Values.probes.strictStart }}
  exec:
    command: [/usr/bin/ibid, health, --strict, --quiet, --config, /etc/ibid/ibid.yaml]
  timeoutSeconds: 2
  {{- else }}
  httpGet:
    path: /readyz
    port: ibid-admin
  {{- end }}
  periodSeconds: 1
  failureThreshold: 120
readinessProbe:
  httpGet:
    path: /readyz
    port: ibid-admin
  periodSeconds: 5
livenessProbe:
  httpGet:
    path: /healthz
    port: ibid-admin
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
volumeMounts:
  - name: ibid-config
    mountPath: /etc/ibid
    readOnly: true
  - name: ibid-secret
    mountPath: /run/secrets/ibid
    readOnly: true
  - name: ibid-data
    mountPath: /var/lib/ibid
{{- end -}}

{{- define "ibid.volumes" -}}
- name: ibid-config
  configMap:
    name: {{ include "ibid.fullname" . }}
- name: ibid-secret
  secret:
    secretName: {{ .Values.secretName }}
    # ibid refuses a secret that everybody can read; fsGroup lets it read this one.
    defaultMode: 0440
- name: ibid-data
  {{- if and .Values.gateway.enabled .Values.gateway.existingClaim }}
  persistentVolumeClaim:
    claimName: {{ .Values.gateway.existingClaim }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ .Values.gateway.cacheSize }}
  {{- end }}
{{- end -}}

{{/* For other charts, with gateway.enabled: false and the context .Subcharts.ibid: an entry of
     initContainers, and ibid.volumes. The pod's securityContext needs fsGroup: 65532. */}}
{{- define "ibid.sidecar.container" -}}
- {{ include "ibid.container" . | nindent 2 | trim }}
  restartPolicy: Always
  ports:
    - name: ibid-admin
      containerPort: 8081
  resources:
    {{- toYaml .Values.sidecar.resources | nindent 4 }}
{{- end -}}
