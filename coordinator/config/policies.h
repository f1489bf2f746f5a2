#pragma once

#include "common/yaml/section.h"
#include "k3saga/v1/policy.pb.h"

namespace k3saga::config {

// What cluster.yaml means where it says nothing.
v1::Policies DefaultPolicies();

// Each reads its section over the defaults in `policies` and reports what is wrong with it.
void ReadServerPolicy(yaml::Section section, v1::ServerPolicy* policy);
void ReadWorkerPolicy(yaml::Section section, v1::WorkerPolicy* policy);
void ReadBackupPolicy(yaml::Section section, v1::BackupPolicy* policy);
void ReadGate(yaml::Section section, v1::ExternalGate* gate);

}  // namespace k3saga::config
