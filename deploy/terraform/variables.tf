variable "reader_principal" {
  description = "ARN of the role or user Skyherd runs as, which may take the reading role. Empty for no role."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^$|^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/", var.reader_principal))
    error_message = "An ARN such as arn:aws:iam::111122223333:role/skyherd."
  }
}

variable "external_id" {
  description = "What Skyherd has to say when it takes the role (`external_id` in its configuration); needed for a role."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^$|^[A-Za-z0-9_+=,.@:/-]{16,1224}$", var.external_id))
    error_message = "At least 16 letters, digits or any of _+=,.@:/-."
  }
}

variable "role_name" {
  description = "Name of the reading role; the same in every account (`role_name`)."
  type        = string
  default     = "skyherd-read"
}

variable "reads_organization" {
  description = "Whether the role may list the organization's accounts; for the management account or a delegated one."
  type        = bool
  default     = false
}

variable "bucket" {
  description = "A bucket whose files the role may read (`files`), such as that of the bills. Empty for none."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^$|^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "The name of a bucket."
  }
}

variable "endpoint" {
  description = "Where Skyherd is reached, without a path, such as https://skyherd.example.com. Empty to push nothing."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^$|^https://[A-Za-z0-9.-]+$", var.endpoint))
    error_message = "https, port 443, no path: Firehose takes no other."
  }
}

variable "access_key" {
  description = "A token of role write (`skyherd token NAME --write`), sent by Firehose and EventBridge; needed to push."
  type        = string
  default     = ""
  sensitive   = true
}

variable "stream_metrics" {
  description = "Whether CloudWatch metrics are streamed ($0.003 for 1,000 updates, and Firehose) or left to be polled."
  type        = bool
  default     = true
}

variable "send_events" {
  description = "Whether events are sent."
  type        = bool
  default     = true
}

variable "backup_days" {
  description = "How long batches that could not be delivered are kept, in days."
  type        = number
  default     = 14
  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 365
    error_message = "1 to 365 days."
  }
}
