//! The sets of values that the chart is rendered with, and those that it must refuse.

/// A name, and helm's arguments.
pub(crate) type Values = (&'static str, &'static [&'static str]);

/// What makes a single pod of a release.
pub(crate) const SINGLE: &str =
    "cluster.enabled=false,replicaCount=1,autoscaling.enabled=false,podDisruptionBudget.enabled=false";

/// A feed that any number of pods may share.
const KAFKA: &str = r#"ingest.feeds=[{"name": "lines", "table": "lines", "deadLetter": "dead", "format": "CSV",
    "kafka": {"brokers": ["kafka:9092"], "topics": ["lines"], "groupId": "zepto"}}]"#;

/// Rendered, linted, and judged by Kubernetes and by our own rules.
pub(crate) const GOOD: &[Values] = &[
    ("defaults", &[]),
    ("production", &["-f", "PROFILES/production.yaml"]),
    ("dev", &["-f", "PROFILES/dev.yaml"]),
    ("iot-pilot", &["-f", "PROFILES/iot-pilot.yaml"]),
    ("auto-factory", &["-f", "PROFILES/auto-factory.yaml"]),
    ("semi-fab", &["-f", "PROFILES/semi-fab.yaml"]),
    ("bare-metal-trading", &["-f", "PROFILES/bare-metal-trading.yaml"]),
    ("single", &["--set", SINGLE]),
    ("single-claim", &["--set", SINGLE, "--set", "persistence.existingClaim=zeptodb-data-restored"]),
    ("single-empty-dir", &["--set", SINGLE, "--set", "persistence.enabled=false"]),
    ("single-open", &["--set", SINGLE, "--set", "auth.enabled=false"]),
    ("single-no-headless", &["--set", SINGLE, "--set", "headless.enabled=false"]),
    ("single-no-bootstrap", &["--set", SINGLE, "--set", "bootstrap.enabled=false"]),
    (
        "backup-s3",
        &[
            "--set",
            "backup.enabled=true,backup.at=s3://backups/zeptodb,backup.s3.region=eu-central-1,backup.keep=30",
        ],
    ),
    (
        "backup-s3-other",
        &[
            "--set",
            "backup.enabled=true,backup.at=s3://b,backup.s3.endpoint=http://minio:9000,backup.s3.secretName=minio-keys",
        ],
    ),
    (
        "restore-claim",
        &[
            "--set",
            "backup.enabled=true,backup.at=/backups/main,backup.existingClaim=backups,backup.restore.enabled=true,backup.restore.name=nightly",
        ],
    ),
    (
        "single-restore",
        &["--set", SINGLE, "--set", "backup.at=s3://backups/zeptodb,backup.restore.enabled=true"],
    ),
    ("image", &["--set", "image.repository=your-registry/zeptodb", "--set", "image.tag=1.0.0"]),
    ("image-secret", &["--set", "imagePullSecrets[0].name=registry", "--set", "image.pullPolicy=Always"]),
    ("one-coordinator", &["--set", "coordinator.replicas=1"]),
    ("five-coordinators", &["--set", "coordinator.replicas=5"]),
    ("coordinator-empty-dir", &["--set", "coordinator.persistence.enabled=false"]),
    ("one-copy", &["--set", "cluster.replicationFactor=1"]),
    ("three-copies", &["--set", "cluster.replicationFactor=3,cluster.minInSync=2"]),
    ("other-ports", &["--set", "cluster.rpcPortOffset=1000,cluster.heartbeatPort=9200"]),
    (
        "slow-network",
        &[
            "--set",
            "cluster.heartbeatIntervalMs=3000,cluster.suspectMs=9000,cluster.deadMs=30000,cluster.leaseMs=20000,cluster.replicateTimeoutMs=8000",
        ],
    ),
    ("named-cluster", &["--set", "cluster.id=prod-7"]),
    ("ingest", &["--set", "ingest.enabled=true"]),
    ("ingest-open", &["--set", "ingest.enabled=true,ingest.noAuth=true"]),
    (
        "ingest-load-balancer",
        &[
            "--set",
            "ingest.enabled=true,ingest.service.type=LoadBalancer,ingest.service.loadBalancerSourceRanges[0]=10.0.0.0/8",
        ],
    ),
    (
        "ingest-autoscaled",
        &["--set", "ingest.enabled=true,ingest.autoscaling.enabled=true,ingest.autoscaling.targetCPU=50"],
    ),
    (
        "ingest-tuned",
        &[
            "--set",
            "ingest.enabled=true,ingest.config.memoryLimit=1073741824,ingest.pipeline.drainThreads=4,ingest.pipeline.ringBufferCapacity=262144",
        ],
    ),
    ("feeds", &["-f", "EXAMPLES/feeds/cluster.yaml"]),
    ("feeds-every-key", &["-f", "HERE/every-key.yaml"]),
    ("feeds-many-pods", &["-f", "PROFILES/auto-factory.yaml", "--set-json", KAFKA]),
    ("ingest-surge", &["--set", "ingest.enabled=true,podAntiAffinity.required=false"]),
    ("no-autoscaling", &["--set", "autoscaling.enabled=false"]),
    (
        "rate-only",
        &["--set", "autoscaling.targetCPU=0,autoscaling.targetMemory=0,autoscaling.ingestRateEnabled=true"],
    ),
    (
        "canary",
        &[
            "--set",
            "replicaCount=1,image.tag=2.0.0,service.type=ClusterIP,autoscaling.enabled=false,podDisruptionBudget.enabled=false",
        ],
    ),
    ("no-budget", &["--set", "podDisruptionBudget.enabled=false"]),
    ("no-spread", &["--set", "podAntiAffinity.enabled=false,topologySpread.enabled=false"]),
    ("zones", &["--set", "topologySpread.topologyKey=topology.kubernetes.io/zone,topologySpread.maxSkew=2"]),
    ("existing-secrets", &["--set", "auth.existingSecret=zeptodb-auth,cluster.existingSecret=zeptodb-peers"]),
    (
        "existing-secrets-with-keys",
        &[
            "--set",
            "auth.existingSecret=keys,auth.adminKey.secretName=admin,auth.metricsKey.secretName=metrics,auth.protectMetrics=true,serviceMonitor.enabled=true",
        ],
    ),
    ("open", &["--set", "auth.enabled=false,ingest.enabled=true"]),
    (
        "protected-metrics",
        &["--set", "auth.protectMetrics=true,serviceMonitor.enabled=true,ingest.enabled=true"],
    ),
    ("no-network-policy", &["--set", "networkPolicy.enabled=false"]),
    (
        "network-clients",
        &[
            "--set",
            "service.type=ClusterIP,networkPolicy.clients[0].namespaceSelector.matchLabels.team=quants",
        ],
    ),
    (
        "source-ranges",
        &["--set", "service.loadBalancerSourceRanges[0]=10.0.0.0/8,service.sessionAffinity=ClientIP"],
    ),
    ("node-port", &["--set", "service.type=NodePort,service.port=9000"]),
    ("ingress", &["--set", "ingress.enabled=true,ingress.className=nginx,ingress.host=db.example.com"]),
    (
        "ingress-tls",
        &[
            "--set",
            "ingress.enabled=true,ingress.tlsSecret=zeptodb-tls",
            "--set-string",
            "ingress.annotations.nginx\\.ingress\\.kubernetes\\.io/proxy-body-size=0",
        ],
    ),
    (
        "monitoring",
        &[
            "--set",
            "serviceMonitor.enabled=true,serviceMonitor.interval=30s,prometheusRule.enabled=true,dashboard.enabled=true,serviceMonitor.labels.release=prometheus",
        ],
    ),
    (
        "karpenter",
        &["--set", "karpenter.enabled=true,karpenter.role=realtime,karpenter.architectures={arm64}"],
    ),
    (
        "karpenter-analytics",
        &[
            "--set",
            "karpenter.enabled=true,karpenter.role=analytics,karpenter.analytics.consolidateAfter=10m",
        ],
    ),
    ("priorities", &["--set", "priorityClass.create=true,ingest.enabled=true"]),
    ("priority-of-others", &["--set", "priorityClass.name=system-cluster-critical"]),
    ("no-account", &["--set", "serviceAccount.create=false,rbac.operatorRole=false"]),
    (
        "account",
        &[
            "--set",
            "serviceAccount.name=db",
            "--set-string",
            "serviceAccount.annotations.eks\\.amazonaws\\.com/role-arn=arn",
        ],
    ),
    (
        "arm",
        &[
            "--set",
            "nodeSelector.kubernetes\\.io/arch=arm64,tolerations[0].key=db,tolerations[0].operator=Exists",
        ],
    ),
    ("burst", &["--set", "pipeline.drainThreads=8,pipeline.ringBufferCapacity=1048576"]),
    (
        "tuned",
        &[
            "--set",
            "config.workerThreads=16,config.queryCacheSize=2000,config.parallelThreshold=1,config.hdbCompression=zstd,config.segmentCheckSeconds=0,config.memoryLimit=8589934592",
        ],
    ),
    ("other-folder", &["--set", "config.dataDir=/var/lib/zepto/data"]),
    (
        "slow-end",
        &[
            "--set",
            "gracefulShutdown.preStopSleepSeconds=30,gracefulShutdown.terminationGracePeriodSeconds=60",
        ],
    ),
    (
        "probes",
        &[
            "--set",
            "probes.startup.failureThreshold=720,probes.liveness.periodSeconds=30,probes.readiness.timeoutSeconds=10",
        ],
    ),
    (
        "storage-class",
        &[
            "--set",
            "persistence.storageClass=gp3,persistence.size=1Ti,coordinator.persistence.storageClass=gp3",
        ],
    ),
    ("text-logs", &["--set", "log.format=text,log.level=debug", "--set-string", "podAnnotations.team=db"]),
];

/// Refused, each with these words in the message.
pub(crate) const REFUSED: &[(&str, &str)] = &[
    ("cluster.enabled=false", "replicaCount=3 needs cluster.enabled=true"),
    ("cluster.enabled=false,replicaCount=1", "a single pod cannot be scaled"),
    ("cluster.enabled=false,replicaCount=1,autoscaling.enabled=false", "would block every drain"),
    (
        "cluster.enabled=false,replicaCount=1,autoscaling.enabled=false,podDisruptionBudget.enabled=false,ingest.enabled=true",
        "ingest.enabled needs cluster.enabled=true",
    ),
    ("persistence.existingClaim=x", "each pod of a cluster has a claim of its own"),
    ("headless.enabled=false", "headless Service"),
    ("podDisruptionBudget.minAvailable=3", "no node could ever be drained"),
    ("autoscaling.minReplicas=11", "minReplicas is above"),
    ("autoscaling.targetCPU=0,autoscaling.targetMemory=0", "nothing to scale by"),
    ("cluster.minInSync=3", "above cluster.replicationFactor"),
    ("cluster.suspectMs=500", "must be below cluster.suspectMs"),
    ("cluster.leaseMs=10000", "below cluster.deadMs"),
    ("gracefulShutdown.terminationGracePeriodSeconds=44", "preStopSleepSeconds + 30"),
    ("priorityClass.create=true,priorityClass.name=x", "leave priorityClass.name empty"),
    (
        "auth.existingSecret=x,auth.protectMetrics=true,serviceMonitor.enabled=true",
        "where Prometheus finds its key",
    ),
    ("auth.enabled=false,auth.protectMetrics=true", "needs auth.enabled=true"),
    ("pipeline.ringBufferCapacity=100000", "ringBufferCapacity"),
    ("pipeline.ringBufferCapacity=2048", "ringBufferCapacity"),
    ("coordinator.replicas=2", "coordinator"),
    ("replicaCount=0", "replicaCount"),
    ("config.hdbCompression=gzip", "hdbCompression"),
    ("resources.requests.memory=lots", "memory"),
    ("workerThreads=4", "workerThreads"),
    ("ingest.noauth=true", "noauth"),
    ("backup.enabled=true", "backup.at is not set"),
    ("backup.restore.enabled=true", "backup.at is not set"),
    ("backup.enabled=true,backup.at=/backups", "would go with its pod"),
    ("backup.enabled=true,backup.at=/elsewhere,backup.existingClaim=x", "backup"),
    ("backup.enabled=true,backup.at=s3://b,auth.existingSecret=x", "need an admin's key"),
    ("backup.schedule=sometimes", "schedule"),
    ("ingest.enabled=true,ingest.extraArgs={--config=/x}", "the chart gives --config itself"),
    ("ingest.feedSecrets[0].name=a,ingest.feedSecrets[0].secretName=b", "needs ingest.enabled=true"),
    ("ingest.pipeline.ringBufferCapacity=100000", "ringBufferCapacity"),
];

/// The profiles, each of which can be changed into any other by an upgrade.
pub(crate) const PROFILES: &[&str] =
    &["dev", "iot-pilot", "auto-factory", "semi-fab", "bare-metal-trading", "production"];
