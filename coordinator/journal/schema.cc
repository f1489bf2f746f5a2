#include "coordinator/journal/schema.h"

namespace k3saga::journal {

const sqlite::Schema& JournalSchema() {
  static const auto* schema = new sqlite::Schema{0x6b33736a,  // "k3sj"
                                                 "k3saga's journal",
                                                 {R"sql(
CREATE TABLE event (
  rollout TEXT NOT NULL,
  number INTEGER NOT NULL,  -- from 1, without gaps
  kind INTEGER NOT NULL,    -- the field number of the event's body (event.proto)
  body BLOB NOT NULL,       -- k3saga.v1.Event
  PRIMARY KEY (rollout, number)
) STRICT;
)sql"}};
  return *schema;
}

}  // namespace k3saga::journal
