//! One integration binary; each module is a contract.

// The stages' arrows, the doors of outside types, and who may read a clock.
mod arrows;
// The fallback of older kernels, and pods that go while they are watched.
mod attachment;
// The bus over a real NATS server: order, losses, restarts, rights, and what hostile hands put on it.
mod bus_nats;
// Rights and certificates of that server, questions to sensors, garbage.
mod bus_nats_hostile;
// `certify --lab`: every case of every suite, features, and runs that are interrupted.
mod certify_lab;
mod certify_moments;
// Whether a real API server may be read: credentials, rights, servers that are silent or gone.
mod cluster_access;
// What `certify --existing` refuses before anything is made.
mod cluster_certify;
// `explain`, `matrix` and `lint` on the cluster of a kubeconfig.
mod cluster_commands;
// `doctor --cluster`: rights, kernels, Pod Security, another run.
mod cluster_doctor;
// What deploy/install.yaml asks of a real API server, and which rights come of it.
mod cluster_install;
// A live cluster is read through a real API server, and gives the same answers as its manifests.
mod cluster_live;
// What a real API server refuses is a problem here too, and what it takes is none.
mod cluster_refusals;
// A live cluster is followed: what changes arrives, what fails is named, and what was missed is found.
mod cluster_watch;
// Rights and kinds that come later, and garbage among what is followed.
mod cluster_watch_access;
// A bus that damages what it carries.
mod damage;
// Repeats become a count, and the count is exact.
mod folding;
// Habits that no lint holds: first lines, sizes, versions, rules with their keepers.
mod habits;
// The lab's enforcers, each on every wiring: tiers, policies, what is left behind.
mod lab_enforcers;
// `--fault` and `--list-faults`.
mod lab_fault_flag;
// Every fault of the lab against the literal prediction of what it touches.
mod lab_faults;
// What the matrix of faults asks through Services, by nodes and of the outside.
mod lab_fault_paths;
// Cases through Services: translated by the lab, judged by the pod behind.
mod lab_services;
// Random policies against enforcers, right and wrong, and what is left of a violation.
mod lab_fuzz;
// The guide on real packets, as each CNI plays it: flannel, kubenet, enforcing; every wiring and number of nodes.
mod lab_guide;
// Bad input: places named, nothing raw on a terminal, rights that are missing.
mod lab_input;
// Killed and interrupted runs leave nothing.
mod lab_killed;
// What the API leaves open, asked on purpose: open connections, ICMP, nodes, a pod to itself, blocks of pods' addresses.
mod lab_open;
// Enforcers that anyone brings, good and bad.
mod lab_program;
// The playground: up, apply, verify, delete, down, in the right and the wrong order.
mod lab_standing;
// Help, doctor, completions, manual pages, colours, closed pipes.
mod lab_words;
// `lint`: exit codes, the document, lines, bad input and hostile names.
mod lint_words;
// Every packet is a record or a counted loss, and a loss touches only whom it touched.
mod losses;
// `explain` as a user runs it: the guide's half path, and the patch that opens it and nothing else.
mod oracle_explain;
// Bombs, garbage, a hundred thousand policies, thousands of pods.
mod oracle_size;
// Who may reach whom from manifests alone: filters, formats, comparisons, pipes.
mod matrix;
// What the sensor sees on a real kernel: sent, delivered, dropped and why; attaching.
mod sensor;
// Pods of a Kubernetes node are found by names and processes, and followed whatever becomes of them.
mod sensor_discover;
// A sensor gives up what it does not need, and says what it lacks.
mod sensor_confine;
// Packets with more headers than usual.
mod shapes;
// Reads the workspace's own sources, for the arrows and the habits.
mod source;
// Everybody's traffic: real packets, a real API server, a real NATS, and the verifier as a user runs it.
mod verifier_service;
