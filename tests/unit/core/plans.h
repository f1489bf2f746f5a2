#pragma once

#include "k3saga/v1/event.pb.h"

// Plans and proofs for tests: a healthy cluster, to be spoiled by each test as it needs.
namespace k3saga::core {

inline constexpr char kFrom[] = "v1.31.4+k3s1";
inline constexpr char kTo[] = "v1.32.0+k3s1";

// s1..sN with etcd members 1..N, w1..wM, sensible policies: cordon and drain of workers, put back servers.
v1::RolloutCreated MakeRollout(int servers, int workers);

// The same cluster at kTo, on its way back to kFrom: s2, s3, s1 were upgraded in this order, then the
// workers. With `datastore`, it comes back from backup "b1" on s2.
v1::RolloutCreated MakeRollback(int servers, int workers, bool datastore);

// All servers ready and settled; s1 leads.
v1::GateProved HealthyProof(const v1::Plan& plan);

v1::Outcome Succeeded(const v1::OperationIssued& issued);
v1::Outcome Failed(v1::ReasonCode code, v1::Outcome::NodeState left = v1::Outcome::UNTOUCHED);
v1::Outcome Refused(v1::ReasonCode code);
v1::Outcome Unknown();

}  // namespace k3saga::core
