! What a DISH loop of the field does, restated: one complex matrix times a vector for each trajectory and electronic
! sub-step, one decision a nuclear step (rule of Hefei-NAMD, deterministic clocks, states tried in random order).
module loop_of_the_field
  implicit none
  integer, parameter :: dp = kind(1d0)
  type :: carrier
    complex(dp), allocatable :: psi(:)
    real(dp), allocatable :: clock(:)
    integer :: active
  end type
contains
  function moved(u, psi) result(out)
    complex(dp), intent(in) :: u(:, :), psi(:)
    complex(dp) :: out(size(psi))
    out = matmul(u, psi)
  end function
  subroutine decide(c, rates, energies, kt, dt, order, hops)
    type(carrier), intent(inout) :: c
    real(dp), intent(in) :: rates(:, :), energies(:), kt, dt
    integer, intent(inout) :: order(:), hops
    real(dp) :: p(size(energies)), tau(size(energies)), r, chance, de
    integer :: k, i, j, s, chosen
    k = size(energies)
    p = real(conjg(c%psi) * c%psi, dp)
    do i = 1, k
      tau(i) = 1 / sum(rates(:, i) * p)
    end do
    c%clock = c%clock + dt
    do j = k, 1, -1
      call random_number(r)
      i = int(k * r) + 1
      s = order(i); order(i) = order(j); order(j) = s
    end do
    chosen = 0
    do j = 1, k
      if (tau(order(j)) <= c%clock(order(j))) then
        chosen = order(j)
        c%clock(chosen) = 0
        exit
      end if
    end do
    if (chosen == 0) return
    call random_number(r)
    de = energies(chosen) - energies(c%active)
    chance = p(chosen)
    if (de > 0) chance = chance * exp(-de / kt)
    if (r <= chance) then
      c%psi = 0
      c%psi(chosen) = 1
      if (chosen /= c%active) hops = hops + 1
      c%active = chosen
    else
      c%psi(chosen) = 0
      p(chosen) = 0
      c%psi = c%psi / sqrt(sum(p))
    end if
  end subroutine
end module
program main
  use loop_of_the_field
  implicit none
  integer :: k, n, steps, nelm, i, j, t, e, a, b, hops
  type(carrier), allocatable :: c(:)
  complex(dp), allocatable :: u(:, :), x(:), y(:)
  real(dp), allocatable :: rates(:, :), en(:), pops(:)
  integer, allocatable :: order(:)
  real(dp) :: phi, t0, t1, w
  character(len=20) :: arg
  call get_command_argument(1, arg); read (arg, *) k
  call get_command_argument(2, arg); read (arg, *) n
  call get_command_argument(3, arg); read (arg, *) steps
  nelm = 10
  allocate (c(n), u(k, k), rates(k, k), en(k), order(k), pops(k), x(k), y(k))
  en = [(real(i - 1, dp) / (k - 1), i=1, k)]
  rates = 1 / 20d0
  do i = 1, k
    rates(i, i) = 0; order(i) = i
  end do
  do i = 1, n
    allocate (c(i)%psi(k), c(i)%clock(k))
    c(i)%psi = 0; c(i)%psi(k) = 1; c(i)%clock = 0; c(i)%active = k
  end do
  hops = 0
  call cpu_time(t0)
  do t = 1, steps
    do e = 1, nelm
      u = 0
      do i = 1, k
        u(i, i) = 1
      end do
      do a = 1, k
        do b = a + 1, k
          phi = 0.05d0 * 5d-3 / 0.658d0 * cos(0.01d0 * (t + a + 2 * b))
          x = cos(phi) * u(:, a) - sin(phi) * u(:, b)
          y = sin(phi) * u(:, a) + cos(phi) * u(:, b)
          u(:, a) = x; u(:, b) = y
        end do
      end do
      do a = 1, k
        u(:, a) = u(:, a) * exp(cmplx(0, -0.1d0 / 0.658d0 * en(a), dp))
      end do
      do a = k, 1, -1
        do b = k, a + 1, -1
          phi = 0.05d0 * 5d-3 / 0.658d0 * cos(0.01d0 * (t + a + 2 * b))
          x = cos(phi) * u(:, a) - sin(phi) * u(:, b)
          y = sin(phi) * u(:, a) + cos(phi) * u(:, b)
          u(:, a) = x; u(:, b) = y
        end do
      end do
      do i = 1, n
        c(i)%psi = moved(u, c(i)%psi)
      end do
    end do
    do i = 1, n
      call decide(c(i), rates, en, 0.0258d0, 1d0, order, hops)
    end do
  end do
  call cpu_time(t1)
  pops = 0
  do i = 1, n
    pops(c(i)%active) = pops(c(i)%active) + 1
  end do
  print '(3i8,f9.2,i8,9f7.3)', k, n, steps, (t1 - t0) / (1d0 * n * steps * nelm) * 1d9, hops, &
    pops(1:min(k, 9)) / n
end program
