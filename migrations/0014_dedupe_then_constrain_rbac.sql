-- migrate:up
-- One active role per (name, scope), one active grant per (person, role, scope, scope_id). Losers
-- are deactivated, never deleted. Repairing and constraining share one transaction and one lock, so
-- no duplicate slips in between; running this again changes nothing.
lock table roles, user_roles in share row exclusive mode;

-- Grants first, counted as if equal roles were one role already: the remapping below then cannot
-- collide with the unique indexes where they exist. A grant that still holds wins over an expired
-- one, then the newest, then the lowest id.
with merged_roles as (
  select
    id,
    first_value(id) over (partition by name, scope order by created_at, id collate "C") as winner_id
  from roles
  where is_active = true
),
ranked as (
  select
    grants.id,
    row_number() over (
      partition by
        grants.user_email,
        coalesce(merged_roles.winner_id, grants.role_id),
        grants.scope,
        grants.scope_id
      order by
        (grants.expires_at is null or grants.expires_at >= now()) desc,
        grants.granted_at desc,
        grants.id collate "C"
    ) as place
  from user_roles as grants
  left join merged_roles on merged_roles.id = grants.role_id
  where grants.is_active = true
)
update user_roles
set is_active = false
from ranked
where user_roles.id = ranked.id and ranked.place > 1;

-- Every grant of a losing role, revoked ones too, moves to the winner while both are active: a
-- listing that joins active roles keeps showing it. The oldest role wins, then the lowest id.
with merged_roles as (
  select
    id,
    first_value(id) over (partition by name, scope order by created_at, id collate "C") as winner_id
  from roles
  where is_active = true
)
update user_roles
set role_id = merged_roles.winner_id
from merged_roles
where user_roles.role_id = merged_roles.id and merged_roles.winner_id <> merged_roles.id;

-- inherits_from keeps naming the deactivated row: a child moved to the winner could close a cycle.
with ranked as (
  select
    id,
    row_number() over (partition by name, scope order by created_at, id collate "C") as place
  from roles
  where is_active = true
)
update roles
set is_active = false, updated_at = now()
from ranked
where roles.id = ranked.id and ranked.place > 1;

create unique index if not exists uq_roles_name_scope_active
  on roles (name, scope) where is_active = true;

-- Two indexes for grants, because a unique index holds NULL scope_ids for different.
create unique index if not exists uq_user_roles_email_role_scope_null_active
  on user_roles (user_email, role_id, scope) where scope_id is null and is_active = true;
create unique index if not exists uq_user_roles_email_role_scope_id_active
  on user_roles (user_email, role_id, scope, scope_id)
  where scope_id is not null and is_active = true;

-- migrate:down
-- Only the indexes go: which of the inactive rows were losers is not recorded, and reviving a
-- duplicate would break single-row reads.
drop index if exists uq_user_roles_email_role_scope_id_active;
drop index if exists uq_user_roles_email_role_scope_null_active;
drop index if exists uq_roles_name_scope_active;
