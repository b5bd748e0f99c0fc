-- migrate:up
-- gRPC services whose methods are offered as tools. A service is known by its slug and reached at
-- its target (host:port).
create table grpc_services (
  id varchar(36) not null,
  name varchar(255) not null,
  slug varchar(255) not null,
  description text,
  target varchar(767) not null,
  enabled boolean not null default true,
  reachable boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint pk_grpc_services primary key (id),
  constraint uq_grpc_services_slug unique (slug)
);

-- migrate:down
drop table grpc_services;
