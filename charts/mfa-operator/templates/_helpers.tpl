{{/* The prefix of every name: the release's, with the chart's unless it is in it. */}}
{{- define "mfa-operator.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "mfa-operator.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (printf "%s-manager" (include "mfa-operator.name" .)) -}}
{{- end }}

{{- define "mfa-operator.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: manager
{{- end }}

{{- define "mfa-operator.webhook" -}}
{{- printf "%s-webhook" (include "mfa-operator.name" .) -}}
{{- end }}

{{- define "mfa-operator.webhookServiceAccount" -}}
{{- .Values.webhook.serviceAccount.name | default (include "mfa-operator.webhook" .) -}}
{{- end }}

{{- define "mfa-operator.webhookSelector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: webhook
{{- end }}

{{- define "mfa-operator.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: mfa-operator
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "mfa-operator.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end }}

{{/* The webhook's flags for local users; none while no namespace is named. */}}
{{- define "mfa-operator.localUserFlags" -}}
{{- $flags := list }}
{{- with .Values.localUsers }}
{{- if .namespaces }}
{{- range .namespaces }}{{ $flags = append $flags (printf "--mfa-namespace=%s" .) }}{{ end }}
{{- with .issuer }}{{ $flags = append $flags (printf "--mfa-issuer=%s" .) }}{{ end }}
{{- with .page }}
{{- with .publicURL }}{{ $flags = append $flags (printf "--mfa-public-url=%s" .) }}{{ end }}
{{- range .proxies }}{{ $flags = append $flags (printf "--mfa-page-proxy=%s" .) }}{{ end }}
{{- end }}
{{- with .webauthn }}
{{- with .rpID }}{{ $flags = append $flags (printf "--webauthn-rp-id=%s" .) }}{{ end }}
{{- with .rpName }}{{ $flags = append $flags (printf "--webauthn-rp-name=%s" .) }}{{ end }}
{{- range .origins }}{{ $flags = append $flags (printf "--webauthn-origin=%s" .) }}{{ end }}
{{- with .metadata.file }}{{ $flags = append $flags (printf "--fido-metadata-file=/etc/mfa/fido/%s" .) }}{{ end }}
{{- end }}
{{- with .email }}
{{- $flags = concat $flags (include "mfa-operator.smtpFlags" $ | fromYamlArray) }}
{{- if and .host .subject }}{{ $flags = append $flags (printf "--email-subject=%s" .subject) }}{{ end }}
{{- end }}
{{- with .sms }}
{{- if .url }}
{{- $flags = concat $flags (list (printf "--sms-gateway-url=%s" .url) "--sms-signing-key-file=/etc/mfa/sms/signing-key") }}
{{- range .prefixes }}{{ $flags = append $flags (printf "--sms-prefix=%s" .) }}{{ end }}
{{- if .token }}{{ $flags = append $flags "--sms-token-file=/etc/mfa/sms/token" }}{{ end }}
{{- if .customCA }}{{ $flags = append $flags "--sms-ca-file=/etc/mfa/sms/ca.crt" }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- with $flags }}{{ toYaml . }}{{ end }}
{{- end }}

{{/* The flags of both processes for e-mails to local users; none while no namespace is named. */}}
{{- define "mfa-operator.smtpFlags" -}}
{{- $flags := list }}
{{- if .Values.localUsers.namespaces }}
{{- with .Values.localUsers.email }}
{{- if .host }}
{{- $flags = concat $flags (list (printf "--smtp-host=%s" .host) (printf "--smtp-tls=%s" .tls) (printf "--email-from=%s" .from)) }}
{{- with .port }}{{ $flags = append $flags (printf "--smtp-port=%d" (int .)) }}{{ end }}
{{- if .secretName }}{{ $flags = concat $flags (list "--smtp-username-file=/etc/mfa/email/username" "--smtp-password-file=/etc/mfa/email/password") }}{{ end }}
{{- if .customCA }}{{ $flags = append $flags "--smtp-ca-file=/etc/mfa/email/ca.crt" }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- with $flags }}{{ toYaml . }}{{ end }}
{{- end }}

{{/* The volume that these flags lead to, if any. */}}
{{- define "mfa-operator.smtpVolumes" -}}
{{- $volumes := list }}
{{- with .Values.localUsers }}
{{- if and .namespaces .email.host .email.secretName }}{{ $volumes = append $volumes (dict "name" "email" "secret" (dict "secretName" .email.secretName)) }}{{ end }}
{{- end }}
{{- toYaml $volumes }}
{{- end }}

{{/* The volumes the manager's Pods mount, each at /etc/mfa and its name. */}}
{{- define "mfa-operator.managerVolumes" -}}
{{- $volumes := include "mfa-operator.smtpVolumes" . | fromYamlArray }}
{{- with .Values.manager.audit.cloudEventsTokenSecret }}{{ $volumes = append $volumes (dict "name" "audit" "secret" (dict "secretName" .)) }}{{ end }}
{{- toYaml $volumes }}
{{- end }}

{{/* The volumes the webhook's Pods mount, each at /etc/mfa and its name. */}}
{{- define "mfa-operator.localUserVolumes" -}}
{{- $volumes := include "mfa-operator.smtpVolumes" . | fromYamlArray }}
{{- with .Values.localUsers }}
{{- if and .namespaces .sms.url }}{{ $volumes = append $volumes (dict "name" "sms" "secret" (dict "secretName" .sms.secretName)) }}{{ end }}
{{- if and .namespaces .webauthn.metadata.file }}{{ $volumes = append $volumes (merge (dict "name" "fido") .webauthn.metadata.volume) }}{{ end }}
{{- end }}
{{- toYaml $volumes }}
{{- end }}
