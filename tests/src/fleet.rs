//! Realistic clusters of any size, drawn from a seed, as manifests: for figures, and for the commands' behaviour at size.
//!
//! N pods live in N/50 namespaces, wear N/10 sets of labels (ten replicas each) and are subject to N/10 policies, five a
//! namespace: a default deny for both directions, DNS, a path between apps, one from other namespaces by label with a named
//! port, and one to addresses outside with an exception.

use std::fmt::Write as _;

use fastrand::Rng;

/// How big a cluster is.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    /// How many pods.
    pub pods: usize,
    /// How many policies; `None` for a tenth of the pods.
    pub policies: Option<usize>,
    /// How many sets of labels in all; `None` for a tenth of the pods.
    pub label_sets: Option<usize>,
    /// The same seed draws the same cluster.
    pub seed: u64,
}

const TEAMS: [&str; 6] = ["payments", "search", "media", "identity", "data", "edge"];
const TIERS: [&str; 3] = ["web", "api", "db"];

impl Fleet {
    /// A cluster of that many pods with the usual proportions.
    #[must_use]
    pub const fn of(pods: usize) -> Self {
        Self {
            pods,
            policies: None,
            label_sets: None,
            seed: 7,
        }
    }

    /// The manifests: namespaces, nodes, pods with addresses of both families, policies.
    #[must_use]
    pub fn manifests(&self) -> String {
        let mut rng = Rng::with_seed(self.seed);
        let namespaces = (self.pods / 50).max(1);
        let sets_each = (self.label_sets.unwrap_or(self.pods / 10) / namespaces).max(1);
        let mut text = String::new();
        for node in 0..(self.pods / 50).max(2) {
            let _ = write!(
                text,
                "---\napiVersion: v1\nkind: Node\nmetadata: {{name: node-{node}, labels: {{kubernetes.io/hostname: node-{node}}}}}\nstatus: {{addresses: [{{type: InternalIP, address: 192.168.{}.{}}}]}}\n",
                node / 250,
                node % 250 + 1
            );
        }
        for namespace in 0..namespaces {
            let team = TEAMS[rng.usize(..TEAMS.len())];
            let _ = write!(
                text,
                "---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: ns-{namespace}, labels: {{team: {team}, env: {}}}}}\n",
                if rng.u8(..3) == 0 { "staging" } else { "prod" }
            );
        }
        for pod in 0..self.pods {
            let namespace = pod % namespaces;
            let app = (pod / namespaces) % sets_each;
            let tier = TIERS[app % TIERS.len()];
            let port = 8000 + app % 20;
            let node = rng.usize(..(self.pods / 50).max(2));
            let _ = write!(
                text,
                "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: app-{app}-{pod}\n  namespace: ns-{namespace}\n  labels: {{app: app-{app}, tier: {tier}, app.kubernetes.io/part-of: shop, pod-template-hash: h{pod}}}\nspec:\n  nodeName: node-{node}\n  containers:\n  - name: main\n    ports: [{{name: http, containerPort: {port}}}, {{name: metrics, containerPort: 9090}}]\nstatus:\n  phase: Running\n  podIPs: [{{ip: 10.{}.{}.{}}}, {{ip: 'fd00::{:x}'}}]\n",
                64 + pod / 62_500,
                pod / 250 % 250,
                pod % 250 + 1,
                pod + 1
            );
        }
        for policy in 0..self.policies.unwrap_or(self.pods / 10) {
            let namespace = policy % namespaces;
            let app = rng.usize(..sets_each);
            let outside = rng.u8(..);
            let spec = match policy / namespaces % 5 {
                0 => "podSelector: {}\n  policyTypes: [Ingress, Egress]".to_owned(),
                1 => "podSelector: {}\n  policyTypes: [Egress]\n  egress:\n  - to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ns-0}}, podSelector: {matchLabels: {app: app-0}}}]\n    ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]".to_owned(),
                2 => format!("podSelector: {{matchLabels: {{app: app-{app}}}}}\n  policyTypes: [Ingress, Egress]\n  ingress:\n  - from: [{{podSelector: {{matchLabels: {{tier: web}}}}}}]\n    ports: [{{port: 80}}, {{port: 8000, endPort: 8020}}]\n  egress:\n  - to: [{{podSelector: {{matchExpressions: [{{key: tier, operator: In, values: [api, db]}}]}}}}]\n    ports: [{{port: 80}}]"),
                3 => format!("podSelector: {{matchLabels: {{tier: api}}}}\n  policyTypes: [Ingress]\n  ingress:\n  - from: [{{namespaceSelector: {{matchLabels: {{team: {}}}}}, podSelector: {{matchLabels: {{tier: web}}}}}}]\n    ports: [{{port: http}}, {{port: 80}}]", TEAMS[rng.usize(..TEAMS.len())]),
                _ => format!("podSelector: {{matchLabels: {{tier: web}}}}\n  policyTypes: [Egress]\n  egress:\n  - to: [{{ipBlock: {{cidr: 203.0.{outside}.0/24, except: [203.0.{outside}.128/25]}}}}, {{namespaceSelector: {{matchExpressions: [{{key: env, operator: NotIn, values: [staging]}}]}}}}]\n    ports: [{{port: 443}}, {{port: 80}}]"),
            };
            let _ = write!(
                text,
                "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: policy-{policy}, namespace: ns-{namespace}}}\nspec:\n  {spec}\n"
            );
        }
        text
    }
}
