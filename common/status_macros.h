#pragma once

#include <absl/status/status.h>

// Early return on error. K3SAGA_ASSIGN_OR_RETURN(auto x, F()) declares x.
#define K3SAGA_RETURN_IF_ERROR(expr)                    \
  do {                                                  \
    if (absl::Status status_ = (expr); !status_.ok()) { \
      return status_;                                   \
    }                                                   \
  } while (false)

// A declaration cannot stand in parentheses. NOLINTBEGIN(bugprone-macro-parentheses)
#define K3SAGA_CONCAT_INNER_(a, b) a##b
#define K3SAGA_CONCAT_(a, b) K3SAGA_CONCAT_INNER_(a, b)
#define K3SAGA_ASSIGN_OR_RETURN(declaration, expr) \
  K3SAGA_ASSIGN_OR_RETURN_IMPL_(K3SAGA_CONCAT_(statusor_, __LINE__), declaration, expr)
#define K3SAGA_ASSIGN_OR_RETURN_IMPL_(statusor, declaration, expr) \
  auto statusor = (expr);                                          \
  if (!statusor.ok()) return std::move(statusor).status();         \
  declaration = *std::move(statusor)
// NOLINTEND(bugprone-macro-parentheses)
