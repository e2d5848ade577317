{{/* The pod of a storage node, the same for a StatefulSet and a single Deployment. */}}
{{- define "zeptodb.storagePod" -}}
{{- $who := dict "root" . "component" "storage" -}}
metadata:
  labels:
    {{- include "zeptodb.selector" $who | nindent 4 }}
  annotations:
    checksum/config: {{ include (print $.Template.BasePath "/configmap.yaml") . | sha256sum }}
    {{- include "zeptodb.podAnnotations" (dict "root" . "port" 8123) | nindent 4 }}
spec:
  serviceAccountName: {{ include "zeptodb.serviceAccountName" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.gracefulShutdown.terminationGracePeriodSeconds }}
  securityContext:
    {{- include "zeptodb.podSecurity" . | nindent 4 }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- include "zeptodb.placement" $who | nindent 2 }}
  containers:
    - name: zeptodb
      image: {{ include "zeptodb.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command: [/usr/local/bin/zepto_storage_node]
      args: [--config, /etc/zeptodb/conf/zeptodb.conf]
      env:
        {{- if .Values.cluster.enabled }}
        - name: ZEPTO_POD_NAME
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        - name: ZEPTO_ADVERTISE_HOST
          value: $(ZEPTO_POD_NAME).{{ include "zeptodb.domain" . }}
        {{- end }}
        - name: ZEPTO_DRAIN_THREADS
          value: {{ int64 .Values.pipeline.drainThreads | quote }}
        - name: ZEPTO_RING_BUFFER_CAPACITY
          value: {{ int64 .Values.pipeline.ringBufferCapacity | quote }}
      ports:
        - name: http
          containerPort: 8123
        {{- if .Values.cluster.enabled }}
        - name: rpc
          containerPort: {{ include "zeptodb.rpcPort" . }}
        - name: heartbeat
          containerPort: {{ .Values.cluster.heartbeatPort }}
          protocol: UDP
        {{- end }}
      {{- include "zeptodb.probes" . | nindent 6 }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        {{- include "zeptodb.containerSecurity" . | nindent 8 }}
      volumeMounts:
        - name: conf
          mountPath: /etc/zeptodb/conf
          readOnly: true
        {{- if and (not .Values.cluster.enabled) .Values.bootstrap.enabled }}
        - name: bootstrap
          mountPath: /etc/zeptodb/bootstrap
          readOnly: true
        {{- end }}
        # The claim lies above the data folder, so that what a file system keeps in its root is not in it.
        - name: data
          mountPath: {{ dir .Values.config.dataDir }}
        {{- if .Values.auth.enabled }}
        - name: auth
          mountPath: /etc/zeptodb/auth
          readOnly: true
        {{- end }}
        {{- if .Values.cluster.enabled }}
        - name: cluster
          mountPath: /etc/zeptodb/cluster
          readOnly: true
        {{- end }}
  volumes:
    - name: conf
      configMap:
        name: {{ include "zeptodb.fullname" . }}
    {{- if and (not .Values.cluster.enabled) .Values.bootstrap.enabled }}
    - name: bootstrap
      configMap:
        name: {{ include "zeptodb.fullname" . }}-bootstrap
    {{- end }}
    {{- if .Values.auth.enabled }}
    - name: auth
      secret:
        secretName: {{ include "zeptodb.authSecret" . }}
        defaultMode: 0440
        items:
          - {key: keys.txt, path: keys.txt}
    {{- end }}
    {{- if .Values.cluster.enabled }}
    - name: cluster
      secret:
        secretName: {{ include "zeptodb.clusterSecret" . }}
        defaultMode: 0440
        items:
          - {key: cluster-secret, path: cluster-secret}
    {{- end }}
    {{- if not .Values.persistence.enabled }}
    - name: data
      emptyDir: {}
    {{- else if not .Values.cluster.enabled }}
    - name: data
      persistentVolumeClaim:
        claimName: {{ .Values.persistence.existingClaim | default (printf "%s-data" (include "zeptodb.fullname" .)) }}
    {{- end }}
{{- end -}}
