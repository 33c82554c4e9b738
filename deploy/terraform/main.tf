# Connects one account and region to Skyherd: a role that may only read, a metric stream through Firehose, and
# events through an API destination. The same as ../cloudformation/account.yaml, for those who use Terraform.

data "aws_caller_identity" "this" {}

locals {
  role   = var.reader_principal == "" ? 0 : 1
  stream = var.endpoint != "" && var.stream_metrics ? 1 : 0
  events = var.endpoint != "" && var.send_events ? 1 : 0
  own    = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.this.account_id } }
  # One policy a source of facts, written from what the program calls.
  reading = concat(["alarms", "budgets", "costs", "inventory", "metrics", "regions"], var.reads_organization ? ["organization"] : [], var.bucket != "" ? ["files"] : [])
}

# ---- pulled: what deploy/iam lists, and nothing that changes anything

resource "aws_iam_role" "reading" {
  count                = local.role
  name                 = var.role_name
  description          = "Read by Skyherd"
  max_session_duration = 3600
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = var.reader_principal }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "sts:ExternalId" = var.external_id } }
    }]
  })
  lifecycle {
    precondition {
      condition     = var.external_id != ""
      error_message = "external_id is empty; with it nobody can have Skyherd read an account for them."
    }
  }
}

resource "aws_iam_role_policy" "reading" {
  for_each = local.role == 1 ? toset(local.reading) : []
  name     = each.key
  role     = aws_iam_role.reading[0].id
  policy   = replace(file("${path.module}/../iam/${each.key}.json"), ":::BUCKET", ":::${var.bucket}")
}

# ---- pushed: metrics

resource "aws_s3_bucket" "undelivered" {
  count         = local.stream
  bucket_prefix = "skyherd-undelivered-"
}

resource "aws_s3_bucket_server_side_encryption_configuration" "undelivered" {
  count  = local.stream
  bucket = aws_s3_bucket.undelivered[0].id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "undelivered" {
  count                   = local.stream
  bucket                  = aws_s3_bucket.undelivered[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "undelivered" {
  count  = local.stream
  bucket = aws_s3_bucket.undelivered[0].id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "undelivered" {
  count  = local.stream
  bucket = aws_s3_bucket.undelivered[0].id
  rule {
    id     = "expire"
    status = "Enabled"
    filter {}
    expiration {
      days = var.backup_days
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

resource "aws_s3_bucket_policy" "undelivered" {
  count  = local.stream
  bucket = aws_s3_bucket.undelivered[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.undelivered[0].arn, "${aws_s3_bucket.undelivered[0].arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

resource "aws_cloudwatch_log_group" "delivery" {
  count             = local.stream
  name_prefix       = "skyherd-delivery-"
  retention_in_days = 14
}

resource "aws_cloudwatch_log_stream" "delivery" {
  count          = local.stream
  name           = "delivery"
  log_group_name = aws_cloudwatch_log_group.delivery[0].name
}

resource "aws_iam_role" "delivery" {
  count       = local.stream
  name_prefix = "skyherd-delivery-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "firehose.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = local.own
    }]
  })
}

resource "aws_iam_role_policy" "delivery" {
  count = local.stream
  name  = "delivery"
  role  = aws_iam_role.delivery[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Action = [
          "s3:AbortMultipartUpload", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads", "s3:PutObject",
        ]
        Resource = [aws_s3_bucket.undelivered[0].arn, "${aws_s3_bucket.undelivered[0].arn}/*"]
      },
      {
        Effect   = "Allow"
        Action   = "logs:PutLogEvents"
        Resource = "${aws_cloudwatch_log_group.delivery[0].arn}:*"
      },
    ]
  })
}

resource "aws_kinesis_firehose_delivery_stream" "delivery" {
  count       = local.stream
  name        = "skyherd-metrics"
  destination = "http_endpoint"

  server_side_encryption {
    enabled = true
  }

  http_endpoint_configuration {
    name       = "skyherd"
    url        = "${var.endpoint}/ingest/firehose"
    access_key = var.access_key
    role_arn   = aws_iam_role.delivery[0].arn
    # A point is at most a minute late because of us.
    buffering_interval = 60
    buffering_size     = 4
    retry_duration     = 7200
    s3_backup_mode     = "FailedDataOnly"

    request_configuration {
      content_encoding = "GZIP"
    }

    s3_configuration {
      bucket_arn         = aws_s3_bucket.undelivered[0].arn
      role_arn           = aws_iam_role.delivery[0].arn
      compression_format = "GZIP"
    }

    cloudwatch_logging_options {
      enabled         = true
      log_group_name  = aws_cloudwatch_log_group.delivery[0].name
      log_stream_name = aws_cloudwatch_log_stream.delivery[0].name
    }
  }

  lifecycle {
    precondition {
      condition     = var.access_key != ""
      error_message = "access_key is empty; whoever finds the endpoint could write into it."
    }
  }
}

resource "aws_iam_role" "stream" {
  count       = local.stream
  name_prefix = "skyherd-stream-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "streams.metrics.cloudwatch.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = local.own
    }]
  })
}

resource "aws_iam_role_policy" "stream" {
  count = local.stream
  name  = "stream"
  role  = aws_iam_role.stream[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["firehose:PutRecord", "firehose:PutRecordBatch"]
      Resource = aws_kinesis_firehose_delivery_stream.delivery[0].arn
    }]
  })
}

resource "aws_cloudwatch_metric_stream" "metrics" {
  count         = local.stream
  name          = "skyherd"
  firehose_arn  = aws_kinesis_firehose_delivery_stream.delivery[0].arn
  role_arn      = aws_iam_role.stream[0].arn
  output_format = "opentelemetry1.0"

  # What rules read; every update of anything else is paid for in vain.
  dynamic "include_filter" {
    for_each = ["AWS/ApplicationELB", "AWS/AutoScaling", "AWS/EBS", "AWS/EC2", "AWS/NATGateway"]
    content {
      namespace = include_filter.value
    }
  }
}

# ---- pushed: events

resource "aws_cloudwatch_event_connection" "skyherd" {
  count              = local.events
  name               = "skyherd"
  description        = "Skyherd's token"
  authorization_type = "API_KEY"
  auth_parameters {
    api_key {
      key   = "Authorization"
      value = "Bearer ${var.access_key}"
    }
  }
  lifecycle {
    precondition {
      condition     = var.access_key != ""
      error_message = "access_key is empty; whoever finds the endpoint could write into it."
    }
  }
}

resource "aws_cloudwatch_event_api_destination" "skyherd" {
  count                            = local.events
  name                             = "skyherd"
  connection_arn                   = aws_cloudwatch_event_connection.skyherd[0].arn
  http_method                      = "POST"
  invocation_endpoint              = "${var.endpoint}/ingest/eventbridge"
  invocation_rate_limit_per_second = 300
}

resource "aws_sqs_queue" "undeliverable" {
  count                     = local.events
  name_prefix               = "skyherd-undeliverable-"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue_policy" "undeliverable" {
  count     = local.events
  queue_url = aws_sqs_queue.undeliverable[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = aws_sqs_queue.undeliverable[0].arn
        Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.events[0].arn } }
      },
      {
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = aws_sqs_queue.undeliverable[0].arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_iam_role" "invoke" {
  count       = local.events
  name_prefix = "skyherd-invoke-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = local.own
    }]
  })
}

resource "aws_iam_role_policy" "invoke" {
  count = local.events
  name  = "invoke"
  role  = aws_iam_role.invoke[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "events:InvokeApiDestination"
      Resource = aws_cloudwatch_event_api_destination.skyherd[0].arn
    }]
  })
}

resource "aws_cloudwatch_event_rule" "events" {
  count       = local.events
  name        = "skyherd"
  description = "What Skyherd knows of; calls come here only where a CloudTrail trail records them"
  event_pattern = jsonencode({
    source = [
      "aws.autoscaling",
      "aws.ce",
      "aws.cloudtrail",
      "aws.cloudwatch",
      "aws.config",
      "aws.ec2",
      "aws.ec2fleet",
      "aws.ec2spotfleet",
      "aws.elasticloadbalancing",
      "aws.guardduty",
      "aws.health",
      "aws.iam",
      "aws.inspector2",
      "aws.kms",
      "aws.organizations",
      "aws.s3",
      "aws.securityhub",
      "aws.signin",
      "aws.sts",
      "aws.trustedadvisor",
    ]
  })
}

resource "aws_cloudwatch_event_target" "events" {
  count    = local.events
  rule     = aws_cloudwatch_event_rule.events[0].name
  arn      = aws_cloudwatch_event_api_destination.skyherd[0].arn
  role_arn = aws_iam_role.invoke[0].arn
  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }
  dead_letter_config {
    arn = aws_sqs_queue.undeliverable[0].arn
  }
}
